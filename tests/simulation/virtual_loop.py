"""Many processes in one thread: an event loop whose clock jumps, and whose order of events a seed decides.

Each simulated process has its own queue of ready callbacks, in order, as a real event loop has it; which process acts
next is chance. So callbacks of one process never overtake each other (no real loop does that, and what it would find
were no bugs), while processes interleave in any way. A process can be paused (its callbacks wait, and it does not know
that time passed) and killed (they never run, and nothing of it is ever cleaned up).

Nothing sleeps: when nobody is ready, time is that of the next timer.
"""

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, ContextVar, copy_context
from itertools import count
from random import Random
from typing import Any, Final

CLEAN_UP_STEPS: Final = 200_000
"""Callbacks after which tasks that were cancelled at the end count as stuck."""

_mine: ContextVar["Process"] = ContextVar("process")


class StuckError(Exception):
    """Tasks that were cancelled did not end."""


class Call:
    """A callback that waits for its turn; what asyncio calls a handle, without what nobody asks of it here."""

    __slots__ = ("_is_cancelled", "args", "callback", "context", "process")

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: Context, process: "Process"
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.process = process
        self._is_cancelled = False

    def cancel(self) -> None:
        """It will not be called."""
        self._is_cancelled = True

    def cancelled(self) -> bool:
        """Whether it will not be called."""
        return self._is_cancelled


class Process:
    """One simulated process: what it spawns, and all that follows from it, waits and dies with it."""

    __slots__ = (
        "context", "cut_from", "is_dead", "is_listed", "is_paused", "loop", "name", "paused_since_s", "ready", "skew_s"
    )  # fmt: skip

    def __init__(self, loop: "VirtualLoop", name: str) -> None:
        self.name = name
        self.loop = loop
        self.ready: deque[Call] = deque()
        self.is_paused = False
        self.is_dead = False
        self.is_listed = False
        self.paused_since_s = 0.0
        self.skew_s = 0.0
        """How far its clock is wrong."""
        self.cut_from: set[str] = set()
        """Servers that it cannot reach."""
        self.context: Context = copy_context()
        self.context.run(_mine.set, self)
        loop.processes.append(self)

    @property
    def acts(self) -> bool:
        """Whether it is neither paused nor dead."""
        return not (self.is_paused or self.is_dead)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
        """Start a task of this process."""
        return self.loop.create_task(work, name=f"{self.name}/{name}", context=self.context)

    def after(self, delay_s: float, callback: Callable[..., object], *args: Any) -> Call:
        """Call back as this process, later."""
        return self.loop.call_at(self.loop.now_s + delay_s, callback, *args, context=self.context)

    def at(self, when_s: float, callback: Callable[..., object], *args: Any) -> Call:
        """Call back as this process, at a time; what is asked for the same time happens in the order of asking."""
        return self.loop.call_at(when_s, callback, *args, context=self.context)

    def pause(self) -> None:
        """Stop in the middle of whatever it does, as SIGSTOP does."""
        if self.acts:
            self.is_paused = True
            self.paused_since_s = self.loop.now_s
            self.loop.unlist(self)

    def resume(self) -> None:
        """Go on as if nothing had happened; every time-out that passed is noticed now."""
        if self.is_paused:
            self.is_paused = False
            self.loop.list(self)

    def kill(self) -> None:
        """End at once, as SIGKILL does: not even a `finally` runs."""
        self.is_dead = True
        self.loop.unlist(self)


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop of all processes. `now_s` is virtual; the same seed gives the same order of everything."""

    def __init__(self, chance: Random) -> None:
        super().__init__()
        self.now_s = 0.0
        self.steps = 0
        self.processes: list[Process] = []
        self.accidents: list[str] = []
        """Exceptions that escaped from callbacks."""
        self._chance = chance
        self._tasks: list[tuple[Process, asyncio.Task[Any]]] = []
        self._timers: list[tuple[float, int, Call]] = []
        self._numbers = count()
        self._runnable: list[Process] = []
        self._is_halted = False
        self._is_cleaning = False
        self.world = Process(self, "world")
        self.acting: Process = self.world

    # -- what asyncio asks of a loop --------------------------------------------------------------------------------

    def time(self) -> float:
        return self.now_s

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        process = self.acting
        if context is None:
            context = process.context
        else:
            process = context.get(_mine, process)
        call = Call(callback, args, context, process)
        # Of the dead too: their tasks are ended with them, by `clean_up`.
        process.ready.append(call)
        if not process.is_listed:
            self.list(process)
        return call

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Call:
        process = self.acting
        if context is None:
            context = process.context
        else:
            process = context.get(_mine, process)
        call = Call(callback, args, context, process)
        heapq.heappush(self._timers, (when, next(self._numbers), call))
        return call

    def create_task(  # type: ignore[override]
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[Any]":
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append((self.acting if context is None else context.get(_mine, self.acting), task))
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """What the garbage collector finds says nothing about a schedule; it is not found at the same time twice."""

    # -- running ----------------------------------------------------------------------------------------------------

    def run_until_s(self, until_s: float) -> None:
        """Let everybody act until this time, or until `halt`."""
        events._set_running_loop(self)
        try:
            while not self._is_halted:
                if self._runnable:
                    self._step()
                elif not self._pass_time(until_s):
                    self.now_s = max(self.now_s, until_s)
                    return
        finally:
            events._set_running_loop(None)

    def halt(self) -> None:
        """Stop after the callback that is running."""
        self._is_halted = True

    def clean_up(self) -> None:
        """Cancel what is left, of the dead too, and let it end; nothing of that counts. Raises StuckError."""
        self._is_cleaning = True
        self._is_halted = False
        for process in self.processes:
            self.list(process)
        running = [task for _, task in self._tasks if not task.done()]
        for task in running:
            task.cancel()
        last = self.steps + CLEAN_UP_STEPS
        events._set_running_loop(self)
        try:
            while any(not task.done() for task in running):
                if self.steps > last:
                    raise StuckError(", ".join(task.get_name() for task in running if not task.done()))
                if self._runnable:
                    self._step()
                elif not self._pass_time(float("inf")):
                    raise StuckError(", ".join(task.get_name() for task in running if not task.done()))
        finally:
            events._set_running_loop(None)
            self.close()

    def running(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Process and name of each task that runs, of those whose names begin like this; not of the dead."""
        for process, task in self._tasks:
            if not task.done() and not process.is_dead and task.get_name().startswith(prefix):
                yield process.name, task.get_name()

    def list(self, process: Process) -> None:
        """Let a process act if it has something to do."""
        may_act = self._is_cleaning or not (process.is_paused or process.is_dead)
        if may_act and process.ready and not process.is_listed:
            process.is_listed = True
            self._runnable.append(process)

    def unlist(self, process: Process) -> None:
        """Let a process act no more."""
        if process.is_listed:
            process.is_listed = False
            self._runnable.remove(process)

    def _step(self) -> None:
        runnable = self._runnable
        at = int(self._chance.random() * len(runnable)) if len(runnable) > 1 else 0
        process = runnable[at]
        call = process.ready.popleft()
        if not process.ready:
            process.is_listed = False
            runnable[at] = runnable[-1]
            runnable.pop()
        if call.cancelled():
            return
        self.steps += 1
        self.acting = process
        try:
            call.context.run(call.callback, *call.args)
        except Exception as error:  # noqa: BLE001 -- whatever it is, it ends the schedule
            self.accidents.append(f"{process.name}: {error!r} in {call.callback!r}")
            self.halt()
        finally:
            self.acting = self.world

    def _pass_time(self, until_s: float) -> bool:
        """Make the next timers ready, all that are due at that moment; False if there is none before `until_s`."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers or timers[0][0] > until_s:
            return False
        self.now_s = max(self.now_s, timers[0][0])
        while timers and timers[0][0] <= self.now_s:
            call = heapq.heappop(timers)[2]
            if not call.cancelled():
                process = call.process
                process.ready.append(call)
                if not process.is_listed:
                    self.list(process)
        return True
