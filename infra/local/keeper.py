"""The keeper: one process that owns the whole real tier, from the brokers to nginx, and ends with all of it.

`make up` starts it detached (infra/local/up_and_down.py); its output is what people see meanwhile.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from msgspec import Meta

from infra.embedded.commands import LOOPBACK
from infra.launcher.data_folder import locked
from infra.launcher.endpoints import Endpoints
from infra.launcher.launcher import Launcher, LauncherSettings, Tell
from infra.launcher.ports import check_free, free_ports
from infra.launcher.system import UpSettings, running_system
from infra.local.nginx import EdgePorts, Nginx
from infra.local.parts import Parts, check_parts, check_room
from infra.local.prometheus import Prometheus
from infra.local.where import KEEPER, Where, remove_where, write_mark, write_where
from services.platform.lifecycle import Stop
from services.platform.lifecycle import run as run_process
from services.platform.settings import Settings
from services.platform.telemetry import configure_logging

FRONT_DOORS: Final = 2
ALLOCATORS: Final = 2
REPLICAS: Final = 3
EDGE: Final = ("front door", "counter", "console", "front door with TLS", "Prometheus")


class LocalSettings(Settings, frozen=True, kw_only=True):
    """What `make up` is told."""

    folder: Annotated[Path, Meta(description="Folder of everything that the real tier keeps.")] = Path(".local")
    ports_from: Annotated[
        int,
        Meta(description="nginx for front door, counter, console, TLS, then Prometheus, from here on; 0: free.", ge=0),
    ] = 0


def keep(settings: LocalSettings, tell: Tell) -> None:
    """Start all, say when it is ready, stay until somebody ends it. Raises what the parts raise."""
    configure_logging("keeper", "warning")

    async def main(stop: Stop) -> None:
        async with running_tier(settings, tell, stop):
            await stop.wait()
            tell("Stopping.")

    run_process(main)


@asynccontextmanager
async def running_tier(settings: LocalSettings, tell: Tell, stop: Stop) -> AsyncIterator[Where]:
    """All of it for as long as the block lasts, with nothing left behind however it ends.

    Raises PartMissing, PartsMissing, DataFolderInUse, PortInUse, DiskAlmostFull and what the parts raise.
    """
    check_parts()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(locked(settings.folder / KEEPER)).parent
        write_mark(folder)
        check_room(folder)
        of_edge = edge_ports(settings.ports_from)
        parts = Parts(folder, tell)
        stack.push_async_callback(parts.stop)
        await parts.start()
        real = UpSettings(
            kafka=parts.kafka.addresses,
            redis=parts.redis.url,
            data=folder,
            ports_from=0,
            replicas=REPLICAS,
            front_doors=FRONT_DOORS,
            allocators=ALLOCATORS,
        )
        system = await stack.enter_async_context(running_system(real, tell, stop.fail))
        edge = Nginx(folder / "nginx", EdgePorts(*of_edge[:-1]))
        prometheus = Prometheus(folder / "prometheus", of_edge[-1])
        launcher = _edge_launcher(folder, edge, prometheus, system.endpoints, tell)
        stack.push_async_callback(launcher.stop)
        await launcher.start()
        where = Where(
            edge=edge.urls(),
            prometheus=prometheus.url,
            postgres=parts.postgres.address,
            processes=[*parts.processes(), *launcher.processes()],
        )
        write_where(folder, where)
        stack.callback(remove_where, folder)
        yield where


def edge_ports(ports_from: int) -> list[int]:
    """A port for each of EDGE. Raises PortInUse, PortNotAllowed."""
    if ports_from == 0:
        return free_ports(len(EDGE))
    ports = list(range(ports_from, ports_from + len(EDGE)))
    for what, port in zip(EDGE, ports, strict=True):
        check_free(LOOPBACK, port, what)
    return ports


def _edge_launcher(folder: Path, edge: Nginx, prometheus: Prometheus, endpoints: Endpoints, tell: Tell) -> Launcher:
    behind = {name: urlsplit(getattr(endpoints, name)).netloc for name in ("front_door", "counter", "console")}
    edge.prepare(**behind)
    prometheus.prepare(endpoints.processes)
    specs = [*edge.specs(), *prometheus.specs()]
    return Launcher(specs, folder, tell, lambda: None, LauncherSettings(stop_timeout_s=10.0))
