"""Keeps a group of processes alive: starts them side by side, starts again what ends, stops them all."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta

from infra.launcher.data_folder import fresh_log
from infra.launcher.endpoints import ProcessEndpoint
from infra.launcher.process import ProcessDidNotStart, ProcessSpec, RunningProcess
from services.platform.settings import Settings

FIRST_PAUSE_S: Final = 0.1
LAST_PAUSE_S: Final = 5.0
STEADY_AFTER_S: Final = 10.0
"""A process that lived this long and then ends is started again after the shortest pause."""

Tell = Callable[[str], None]
"""Takes one line for people."""


class LauncherSettings(Settings, frozen=True, kw_only=True):
    """How long processes may take."""

    ready_timeout_s: Annotated[
        float, Meta(description="Seconds a process may take from its start to being ready.", gt=0)
    ] = 60.0
    stop_timeout_s: Annotated[
        float, Meta(description="Seconds a process may take to end by itself, before it is forced.", gt=0)
    ] = 20.0


class Launcher:
    """A group of processes; `on_change` is called when one of them begins or ends."""

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        data: Path,
        tell: Tell,
        on_change: Callable[[], None],
        settings: LauncherSettings | None = None,
    ) -> None:
        self._specs = specs
        self._data = data
        self._tell = tell
        self._on_change = on_change
        self._settings = settings or LauncherSettings()
        self._running: dict[str, RunningProcess] = {}
        self._outputs = {spec.name: fresh_log(data, spec.name) for spec in specs}
        self._keepers: list[asyncio.Task[RunningProcess]] = []

    async def start(self) -> None:
        """All at once, until each is ready. Where one fails, all are stopped. Raises ProcessDidNotStart."""
        starting = [asyncio.ensure_future(self._start_first(spec)) for spec in self._specs]
        try:
            await asyncio.gather(*starting)
        except BaseException:
            for task in starting:
                task.cancel()
            await asyncio.gather(*starting, return_exceptions=True)
            await self.stop()
            raise
        self._keepers = [
            asyncio.create_task(self._keep_alive(spec), name=f"keep-{spec.name}-alive") for spec in self._specs
        ]

    async def watch(self) -> RunningProcess:
        """Wait for the death that ends all, and tell whose it was. The others are kept alive meanwhile."""
        done, _ = await asyncio.wait(self._keepers, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()

    async def stop(self) -> None:
        """End all, within stop_timeout_s; those that do not end by themselves are forced."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        processes = list(self._running.values())
        by_itself = await asyncio.gather(*[process.stop(self._settings.stop_timeout_s) for process in processes])
        for process, ended in zip(processes, by_itself, strict=True):
            if not ended:
                self._tell(f"{process.spec.name} did not end by itself; it was forced.")
        self._running.clear()

    def processes(self) -> list[ProcessEndpoint]:
        """Those that run, as endpoints.json names them."""
        return [
            ProcessEndpoint(service=spec.service, index=spec.index, pid=self._running[spec.name].pid, admin=spec.admin)
            for spec in self._specs
            if spec.name in self._running
        ]

    async def _start_first(self, spec: ProcessSpec) -> None:
        process = await self._spawn(spec)
        await process.ready(self._settings.ready_timeout_s)

    async def _keep_alive(self, spec: ProcessSpec) -> RunningProcess:
        """Start it again for ever, in growing pauses; returns only where its death ends all."""
        pause_s = FIRST_PAUSE_S
        started_s = time.monotonic()
        while True:
            process = self._running[spec.name]
            await process.wait()
            del self._running[spec.name]
            if spec.ends_all:
                return process
            if time.monotonic() - started_s > STEADY_AFTER_S:
                pause_s = FIRST_PAUSE_S
            self._tell(f"{spec.name} {process.end_in_words()}; it is started again in {pause_s:g} s.")
            self._on_change()
            while spec.name not in self._running:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LAST_PAUSE_S)
                started_s = time.monotonic()
                await self._start_again(spec)

    async def _start_again(self, spec: ProcessSpec) -> None:
        try:
            process = await self._spawn(spec)
        except ProcessDidNotStart as error:
            self._tell(str(error))
            return
        try:
            await process.ready(self._settings.ready_timeout_s)
        except ProcessDidNotStart:
            await process.stop(self._settings.stop_timeout_s)  # its keeper sees it end
        else:
            self._tell(f"{spec.name} is ready again.")

    async def _spawn(self, spec: ProcessSpec) -> RunningProcess:
        process = await RunningProcess.start(spec, self._outputs[spec.name])
        self._running[spec.name] = process
        self._on_change()
        return process
