"""Which ports a system listens on."""

import msgspec

from infra.launcher.ports import check_free, free_ports
from services.platform.settings import SecretFiles

PUBLIC = ("front-door", "counter", "console")


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is, decided before anything starts; the same after every restart of a process."""

    host: str
    kafka: str
    redis: str
    public_ports: dict[str, int]
    """Of the front door, the counter and the console."""
    admin_ports: dict[str, int]
    """By the name of the process."""
    ledger: str = ""
    """The ledger's database, as a URL; empty where there is none."""
    partitions: dict[str, str] = {}
    """What an allocator takes by hand, by its name; one that is not here shares through its group."""
    fetch_max_wait_ms: int | None = None
    """How long the broker may hold an allocator's fetch, where that is not left to the allocator."""
    secret_files: SecretFiles = SecretFiles()
    """Those that are not in the data folder."""

    def url(self, service: str) -> str:
        """Base URL of one of the three HTTP services."""
        return f"http://{in_url(self.host)}:{self.public_ports[service]}"


def choose_ports(host: str, ports_from: int, names: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Ports of the three public services, and an admin port for each of `names`.

    From `ports_from` on, one after the other, each checked; 0 takes free ones. Raises PortInUse, PortNotAllowed,
    HostRefused.
    """
    wanted = [*PUBLIC, *(f"{name} admin port" for name in names)]
    if ports_from == 0:
        ports = free_ports(len(wanted), host)
    else:
        ports = list(range(ports_from, ports_from + len(wanted)))
        for what, port in zip(wanted, ports, strict=True):
            check_free(host, port, what)
    return dict(zip(PUBLIC, ports, strict=False)), dict(zip(names, ports[len(PUBLIC) :], strict=True))


def in_url(host: str) -> str:
    """An IPv6 address stands in brackets; where all addresses are listened on, loopback is one of them."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # not bound here
    return f"[{host}]" if ":" in host else host
