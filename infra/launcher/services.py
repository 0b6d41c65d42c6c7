"""The processes of a system and their command lines."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec.structs import asdict

from infra.embedded.commands import broker_answers, broker_command, store_answers, store_command, store_environment
from infra.launcher.addresses import PUBLIC, Addresses, in_url
from infra.launcher.guard import guarded
from infra.launcher.process import ProcessSpec, answers_ready

ALLOCATOR = "allocator"
SpecsOf = Callable[[list[str], Addresses, Path], list[ProcessSpec]]
"""Makes the specs of the named processes; tests bring tiny services of their own."""


def service_names(front_doors: int, allocators: int, ledgers: int = 0) -> list[str]:
    """Names of the processes: the service, numbered where there are several."""
    names = [*_numbered("front-door", front_doors), "counter", "console", *_numbered("allocator", allocators), "clock"]
    return [*names, *_numbered("ledger", ledgers)]


def partitions_by_hand(names: list[str], count: int) -> dict[str, str]:
    """A share of the partitions for each allocator among `names`: joining a group takes the embedded broker 5 s.

    Where there are more allocators than partitions some fold the same one, which does no harm and is of no use.
    """
    allocators = [name for name in names if service_of(name) == ALLOCATOR]
    shares = {name: list(range(index, count, len(allocators))) for index, name in enumerate(allocators)}
    return {name: ",".join(map(str, share or [index % count])) for index, (name, share) in enumerate(shares.items())}


def service_specs(names: list[str], addresses: Addresses, data: Path) -> list[ProcessSpec]:
    """Our own services, each one process of `maskline SERVICE`."""
    return [service_spec(name, addresses, service_command(name, addresses, data)) for name in names]


def service_command(name: str, addresses: Addresses, data: Path) -> list[str]:
    """The command line of one service."""
    service = service_of(name)
    options = {
        "kafka": addresses.kafka,
        "data": str(data),
        "host": addresses.host,
        "admin-port": str(addresses.admin_ports[name]),
    }
    if service in PUBLIC:
        options["port"] = str(addresses.public_ports[service])
    if service == ALLOCATOR:
        options["partitions"] = addresses.partitions.get(name, "group")
        if addresses.fetch_max_wait_ms is not None:
            options["fetch-max-wait-ms"] = str(addresses.fetch_max_wait_ms)
    files = asdict(addresses.secret_files)
    options |= {name.replace("_", "-"): str(path) for name, path in files.items() if path is not None}
    chosen = [part for option, value in options.items() for part in (f"--{option}", value)]
    if service in PUBLIC and name != service:  # one of several behind the same port
        chosen.append("--reuse-port")
    return [sys.executable, "-m", "services.cli", service, *chosen]


def service_spec(name: str, addresses: Addresses, command: list[str]) -> ProcessSpec:
    """A process with an admin port."""
    port = addresses.admin_ports[name]
    host = in_url(addresses.host)
    return ProcessSpec(
        name=name,
        service=service_of(name),
        index=index_of(name),
        command=command,
        is_ready=partial(answers_ready, host.strip("[]"), port),
        admin=f"http://{host}:{port}",
        # Their passwords are nobody's business, and everybody on a machine can read a command line.
        env={"MASKLINE_REDIS": addresses.redis, "MASKLINE_LEDGER": addresses.ledger},
    )


def store_specs(kafka_port: int, redis_port: int, embedded: Path) -> list[ProcessSpec]:
    """Broker and store of the embedded tier. Raises BrokerMissing, StoreMissing."""
    store_folder = embedded / "valkey"
    store_folder.mkdir()
    return [
        ProcessSpec(
            name="broker",
            service="broker",
            command=guarded(broker_command(kafka_port)),
            is_ready=partial(broker_answers, kafka_port),
            ends_all=True,
        ),
        ProcessSpec(
            name="valkey",
            service="valkey",
            command=guarded(store_command(redis_port, store_folder)),
            env=store_environment(),
            is_ready=partial(store_answers, redis_port),
        ),
    ]


def service_of(name: str) -> str:
    """`allocator-1` is an allocator."""
    head, _, number = name.rpartition("-")
    return head if number.isdigit() else name


def index_of(name: str) -> int:
    """`allocator-1` is number 1; one alone is number 0."""
    number = name.rpartition("-")[2]
    return int(number) if number.isdigit() else 0


def _numbered(service: str, count: int) -> list[str]:
    return [service] if count == 1 else [f"{service}-{index}" for index in range(count)]
