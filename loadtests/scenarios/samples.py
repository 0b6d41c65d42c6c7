"""What the system does while a crowd is there, looked at once a second from outside."""

import asyncio
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from infra.launcher.endpoints import Endpoints
from loadtests.scenarios.outcome import LogSample, ProcessSample
from services.audit.verify import VerifySettings
from services.platform.errors import MasklineError
from services.state.readers import read_head
from services.state.redis_access import redis_address
from services.state.redis_client import RedisError
from services.state.store import open_store
from services.stream.errors import StreamError
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS

EVERY_S: Final = 1.0
STORE_TIMEOUT_S: Final = 2.0
LOG_TIMEOUT_S: Final = 0.5
KIB: Final = 1024


class Samples:
    """Takes them while its block lasts. Seconds count from `began_s`, by this machine's clock."""

    def __init__(self, endpoints: Endpoints, settings: VerifySettings, partition: int, began_s: float) -> None:
        self.processes: list[ProcessSample] = []
        self.log: list[LogSample] = []
        self._settings = settings
        self._partition = PartitionId(partition)
        self._began_s = began_s
        self._pids = {
            each.service + (f"-{each.index}" if each.index else ""): each.pid
            for each in [*endpoints.processes, *endpoints.stores]
        }
        self._used_s: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._take(), name="samples")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def line(self) -> str:
        """The last second, for who watches."""
        second = self._second()
        log = self.log[-1] if self.log else LogSample(second=0, end=0, decided=0)
        busy = sum(each.cpu for each in self.processes if each.second == second - 1)
        return f"{second:4d} s   log {log.end}, {log.end - log.decided} not decided; CPU {busy:.1f} cores"

    def _second(self) -> int:
        return int(time.time() - self._began_s)

    async def _take(self) -> None:
        log = PartitionReader(self._settings, COMMANDS)
        redis = open_store(redis_address(self._settings), timeout_s=STORE_TIMEOUT_S)
        try:
            while True:
                self._look_at_processes()
                with suppress(MasklineError, StreamError, RedisError, OSError, TimeoutError):
                    async with asyncio.timeout(LOG_TIMEOUT_S):
                        end = int(await log.log_end(self._partition))
                        head = await read_head(redis, self._partition)
                        decided = 0 if head is None else head.position
                        self.log.append(LogSample(second=self._second(), end=max(end, decided), decided=decided))
                await asyncio.sleep(EVERY_S - time.time() % EVERY_S)
        finally:
            await log.stop()
            await redis.aclose()

    def _look_at_processes(self) -> None:
        second = self._second()
        for name, pid in self._pids.items():
            with suppress(OSError, ValueError):
                used_s, memory_mib = _used(pid)
                before_s = self._used_s.get(name)
                self._used_s[name] = used_s
                if before_s is not None:
                    self.processes.append(
                        ProcessSample(
                            second=second,
                            process=name,
                            cpu=round((used_s - before_s) / EVERY_S, 2),
                            memory_mib=round(memory_mib, 1),
                        )
                    )


def _used(pid: int) -> tuple[float, float]:
    """CPU seconds so far, user plus system, and MiB in memory. Raises OSError where it is gone."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    cpu_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return cpu_s, int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / KIB / KIB
