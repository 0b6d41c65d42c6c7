"""One process of ours: started in its own session, its output in a file, stopped within a bound."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from infra.launcher.last_words import last_words
from services.platform.errors import MasklineError
from services.platform.lifecycle import PARENT_VARIABLE

LOOK_S: Final = 0.02
ANSWER_TIMEOUT_S: Final = 1.0
NOTHING: Final = "(nothing)"


class ProcessDidNotStart(MasklineError):
    """{name} {what}. It said last:

        {tail}

    Mend that and start again; everything it wrote is in {output}.
    """


@dataclass(frozen=True, kw_only=True)
class ProcessSpec:
    """What to run and how to see that it is ready.

    The process must end with the launcher by itself: our services do (`services.platform.lifecycle`), others are
    started through `infra.launcher.guard`.
    """

    name: str
    """Unique; also the name of its log."""
    service: str
    command: list[str]
    is_ready: Callable[[], Awaitable[bool]]
    index: int = 0
    admin: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    ends_all: bool = False
    """Its death means that all others have to begin anew (the broker of the embedded tier)."""


class RunningProcess:
    """A started process."""

    def __init__(self, spec: ProcessSpec, process: Process, output: Path) -> None:
        self.spec = spec
        self._process = process
        self._output = output
        self._left_behind = True

    @classmethod
    async def start(cls, spec: ProcessSpec, output: Path) -> "RunningProcess":
        """Start it; its output is appended to the file. Raises ProcessDidNotStart."""
        try:
            with output.open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *spec.command,
                    stdin=DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **spec.env, PARENT_VARIABLE: str(os.getpid())},
                    # A Ctrl-C in the terminal reaches the launcher alone, which ends the others in order.
                    start_new_session=True,
                )
        except OSError as error:
            why = f"could not be started: {error.strerror} ({spec.command[0]})"
            raise ProcessDidNotStart(name=spec.name, what=why, output=output, tail=NOTHING) from error
        return cls(spec, process, output)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ready(self, timeout_s: float) -> None:
        """Wait until it is ready. Raises ProcessDidNotStart where it ends before, or is not within the time."""
        ended = asyncio.ensure_future(self._process.wait())
        try:
            async with asyncio.timeout(timeout_s):
                while not ended.done():
                    if await self.spec.is_ready():
                        return
                    await asyncio.wait([ended], timeout=LOOK_S)
        except TimeoutError as error:
            raise self._did_not_start(f"was not ready within {timeout_s:g} s") from error
        finally:
            ended.cancel()
        raise self._did_not_start(self.end_in_words())

    async def wait(self) -> None:
        """Until it has ended, and with it what it had started and left behind: nginx's workers would keep its port."""
        await self._process.wait()
        if self._left_behind:
            self._left_behind = False  # once: the number may be somebody else's later
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)  # its session is its own

    def end_in_words(self) -> str:
        """How it ended."""
        code = self._process.returncode
        if code is not None and code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with {code}"

    def terminate(self) -> None:
        """Ask it to end."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    async def stop(self, timeout_s: float) -> bool:
        """Ask it to end, wait, and end it where it does not. False: it had to be forced."""
        self.terminate()
        try:
            async with asyncio.timeout(timeout_s):
                await self.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self.wait()
            return False
        return True

    def _did_not_start(self, what: str) -> ProcessDidNotStart:
        tail = "\n    ".join(last_words(self._output)) or NOTHING
        return ProcessDidNotStart(name=self.spec.name, what=what, output=self._output, tail=tail)


async def answers_ready(host: str, port: int, path: str = "/readyz") -> bool:
    """Whether GET /readyz on an admin port says 200. Written by hand: an HTTP client would cost the start 0.2 s."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                status = await reader.readline()
            finally:
                writer.close()
        return status.split(b" ")[1:2] == [b"200"]
    return False

