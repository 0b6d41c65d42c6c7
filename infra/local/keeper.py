"""The keeper: one process that owns the whole real tier, from the brokers to nginx, and ends with all of it.

`make up` starts it detached (infra/local/up_and_down.py); its output is what people see meanwhile.
"""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from msgspec import Meta

from infra.embedded.commands import LOOPBACK
from infra.launcher.addresses import Addresses
from infra.launcher.data_folder import locked
from infra.launcher.endpoints import Endpoints
from infra.launcher.launcher import Launcher, Tell
from infra.launcher.ports import check_free, free_ports
from infra.launcher.process import ProcessSpec
from infra.launcher.services import SpecsOf, service_specs
from infra.launcher.system import UpSettings, running_system
from infra.local.guards import SETUP, Guards
from infra.local.nginx import EdgePorts, Nginx
from infra.local.parts import SETTINGS, Parts, check_parts, check_room
from infra.local.prometheus import Prometheus
from infra.local.where import KEEPER, Where, remove_where, write_mark, write_where
from services.platform.lifecycle import Stop
from services.platform.lifecycle import run as run_process
from services.platform.settings import AccessSettings, Settings
from services.platform.telemetry import configure_logging

FRONT_DOORS: Final = 2
ALLOCATORS: Final = 2
REPLICAS: Final = 3
WITH_COOKIES: Final = ("counter", "console")
EDGE: Final = ("front door", "counter", "console", "front door with TLS", "Prometheus")


class LocalSettings(Settings, frozen=True, kw_only=True):
    """What `make up` is told."""

    folder: Annotated[Path, Meta(description="Folder of everything that the real tier keeps.")] = Path(".local")
    ports_from: Annotated[
        int,
        Meta(description="nginx for front door, counter, console, TLS, then Prometheus, from here on; 0: free.", ge=0),
    ] = 0
    tls: Annotated[bool, Meta(description="TLS everywhere, and a user with few rights for each service.")] = False


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
        guards = Guards.in_folder(folder) if settings.tls else None
        tier = _Tier(folder, edge_ports(settings.ports_from), guards, tell)
        stack.push_async_callback(tier.parts.stop)
        await tier.parts.start()
        specs_of = service_specs if guards is None else partial(_behind_tls, guards.specs())
        system = await stack.enter_async_context(running_system(tier.system_settings(), tell, stop.fail, specs_of))
        stack.push_async_callback(tier.stop_edge)
        await tier.start_edge(system.endpoints)
        stack.callback(remove_where, folder)
        yield tier.whole()


class _Tier:
    """The parts below our services, and nginx and Prometheus above; `parts.json` is kept true as they are replaced."""

    def __init__(self, folder: Path, ports: list[int], guards: Guards | None, tell: Tell) -> None:
        self._folder = folder
        self._tell = tell
        self._guards = guards
        self.parts = Parts(folder, guards, tell, self._note)
        self._nginx = Nginx(folder / "nginx", EdgePorts(*ports[:-1]))
        self._prometheus = Prometheus(folder / "prometheus", ports[-1])
        self._edge: Launcher | None = None
        self._is_whole = False

    def system_settings(self) -> UpSettings:
        """Our services on these parts."""
        return UpSettings(
            kafka=self.parts.kafka.addresses,
            redis=self.parts.redis.url,
            ledger=self.parts.postgres.url,
            data=self._folder,
            ports_from=0,
            replicas=REPLICAS,
            front_doors=FRONT_DOORS,
            allocators=ALLOCATORS,
            access=AccessSettings() if self._guards is None else self._guards.access(SETUP),
        )

    async def start_edge(self, endpoints: Endpoints) -> None:
        """nginx and Prometheus, before and beside these services. Raises PartMissing, ProcessDidNotStart."""
        behind = {name: urlsplit(getattr(endpoints, name)).netloc for name in ("front_door", "counter", "console")}
        certificate = None if self._guards is None else self._guards.authority.issue("nginx")
        self._nginx.prepare(**behind, certificate=certificate)
        self._prometheus.prepare(endpoints.processes)
        specs = [*self._nginx.specs(), *self._prometheus.specs()]
        self._edge = Launcher(specs, self._folder, self._tell, self._note, SETTINGS)
        await self._edge.start()

    async def stop_edge(self) -> None:
        """Before the services: nobody hears a 502."""
        self._is_whole = False
        if self._edge is not None:
            await self._edge.stop()

    def whole(self) -> Where:
        """All runs: from now on others find it."""
        self._is_whole = True
        self._note()
        return self._where()

    def _where(self) -> Where:
        return Where(
            keeper=os.getpid(),
            edge=self._nginx.urls(),
            prometheus=self._prometheus.url,
            postgres=self.parts.postgres.address,
            ca="" if self._guards is None else str(self._guards.authority.path),
            processes=[*self.parts.processes(), *(self._edge.processes() if self._edge else [])],
        )

    def _note(self) -> None:
        if self._is_whole:
            write_where(self._folder, self._where())


def _behind_tls(specs_of: SpecsOf, names: list[str], addresses: Addresses, data: Path) -> list[ProcessSpec]:
    """Staff come by TLS alone: their cookies are for nothing else. (Only here is it known what stands in front.)"""
    return [
        replace(spec, command=[*spec.command, "--secure-cookies"]) if spec.service in WITH_COOKIES else spec
        for spec in specs_of(names, addresses, data)
    ]


def edge_ports(ports_from: int) -> list[int]:
    """A port for each of EDGE. Raises PortInUse, PortNotAllowed."""
    if ports_from == 0:
        return free_ports(len(EDGE))
    ports = list(range(ports_from, ports_from + len(EDGE)))
    for what, port in zip(EDGE, ports, strict=True):
        check_free(LOOPBACK, port, what)
    return ports
