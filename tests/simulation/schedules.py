"""Running schedules: one seed, one world, one verdict.

Safety: anything may fail at any time; then everything heals, and what was promised must hold, to the last event.
Liveness: anything may fail; then a majority heals, and within `PROGRESS_S` everything acknowledged is decided and
published, and what people want from then on is decided too.
"""

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, Final
from unittest.mock import patch

from services.allocator import loop as allocator_loop
from services.allocator import main as allocator_main
from services.allocator import publisher as allocator_publisher
from services.audit import rows_check, verify
from services.domain import fold
from services.state import keys, records
from services.stream import group_commit
from tests.contract.random_campaigns import Record
from tests.simulation.kafka_log import SimulatedProducer
from tests.simulation.plan import Plan, drawn_plan
from tests.simulation.protections import ALL, Protection
from tests.simulation.surroundings import clock_ms
from tests.simulation.virtual_loop import StuckError, VirtualLoop
from tests.simulation.world import World, wishes

PROGRESS_S: Final = 60.0
"""Virtual seconds within which a healed system has done everything; a stopped partition alone waits 10 s."""
LOOK_S: Final = 2.0
FETCH_TIMEOUT_MS: Final = 5_000
HELD_PAUSE_S: Final = 0.5
IDLE_LOOK_S: Final = 5.0
LATE_WISHES: Final = 5
VERIFIED_EVERY: Final = 10
"""Schedules after which `maskline verify` has the last word; it takes as long as a third of a schedule."""


class Mode(StrEnum):
    """What a schedule asks."""

    SAFETY = "safety"
    LIVENESS = "liveness"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out of one schedule."""

    seed: int
    mode: Mode
    broken: tuple[str, ...]
    trace: tuple[str, ...]
    steps: int
    virtual_s: float

    def in_words(self, last_lines: int | None) -> str:
        """For a person who has to understand a failure: the trace, or its end, and how to see it again."""
        trace = self.trace if last_lines is None else self.trace[-last_lines:]
        return "\n".join(
            [
                f"Schedule {self.seed} ({self.mode}) broke a promise after {self.virtual_s:.1f} s:",
                *(f"  {what}" for what in self.broken),
                f"The last {len(trace)} of {len(self.trace)} lines of its trace:",
                *trace,
                again(self.seed, self.mode),
            ]
        )


def again(seed: int, mode: Mode) -> str:
    """How to see a schedule again, with its whole trace."""
    return f'The same again: SIMULATION_SEED={seed} make test ARGS="tests/simulation -k test_{mode}"'


def run_schedule(
    seed: int, mode: Mode = Mode.SAFETY, without: Protection | None = None, *, is_traced: bool = False
) -> Verdict:
    """One schedule, from its seed to its verdict; for a control `without` one protection."""
    plan = drawn_plan(seed)
    protections = ALL - {without}
    world = World(seed, plan, protections, is_traced=is_traced)
    around = world.around
    with real_code_in(world), _without_collecting():
        try:
            world.begin(_wishes(seed, plan.wishes))
            around.note("PLAN", repr(plan))
            around.loop.run_until_s(plan.busy_s)
            if not around.broken:
                _afterwards(world, mode, is_verified=seed % VERIFIED_EVERY == 0)
        except Exception as error:
            error.add_note(again(seed, mode))
            raise
        finally:
            broken = [*around.broken, *around.loop.accidents]
            around.trace.is_kept = False
            _clean_up(around.loop, broken)
    return Verdict(seed, mode, tuple(broken), tuple(around.trace.lines), around.loop.steps, around.loop.now_s)


def _afterwards(world: World, mode: Mode, *, is_verified: bool) -> None:
    around = world.around
    late = []
    if mode is Mode.LIVENESS:
        world.heal_a_majority()
        late = world.ask_for_more(LATE_WISHES)
    else:
        world.heal_all()
    healed_s = around.loop.now_s
    while not (world.is_finished() and all(wish.is_answered for wish in late)):
        if around.broken or around.loop.accidents:
            return
        if around.loop.now_s > healed_s + PROGRESS_S:
            waiting = sum(not wish.is_answered for wish in late)
            what = world.promises.unfinished(world.rows())
            around.break_promise(f"{PROGRESS_S:g} s after all had healed {waiting} people wait for an answer; {what}")
            return
        around.loop.run_until_s(around.loop.now_s + LOOK_S)
    around.note("FINISHED", f"{around.loop.now_s - healed_s:.0f} s after all had healed")
    world.promises.check_publishers(around.loop.running("publish-"))
    for partition, rows in world.rows().items():
        world.promises.check_rows(partition, rows)
    world.promises.check_everything_asked_and_decided()
    if is_verified and not around.broken and around.protections == ALL:
        report = world.verify()
        if report.verify != "ok":
            around.break_promise(f"verify says: {'; '.join(report.lines())}")


def _clean_up(loop: VirtualLoop, broken: list[str]) -> None:
    try:
        loop.clean_up()
    except StuckError as error:
        broken.append(f"cancelled tasks do not end: {error}")


@lru_cache(maxsize=256)
def _wishes(seed: int, count: int) -> list[Record]:
    return wishes(seed, count)


async def _never(*_: object) -> bool:
    return False


# -- what the real code takes from its surroundings ----------------------------------------------------------------


class TraceLog:
    """Stands for structlog: what the real code says goes into the trace."""

    def __init__(self, world: World) -> None:
        self._around = world.around

    def info(self, text: str, **about: Any) -> None:
        """One line."""
        if self._around.trace.is_kept:
            told = ", ".join(f"{name}={value}" for name, value in about.items())
            self._around.note(self._around.loop.acting.name, f"says: {text.splitlines()[0]} ({told})")

    warning = error = info


@contextmanager
def real_code_in(world: World) -> Iterator[None]:
    """What of the real code is not handed in: its clocks, its log lines, its bounds, what a control takes away."""
    with _in_virtual_time(world), _small_bounds(world.plan), _without(world.around.protections):
        yield


@contextmanager
def _in_virtual_time(world: World) -> Iterator[None]:
    loop = world.around.loop
    clock = SimpleNamespace(
        time=lambda: clock_ms(loop.acting, loop.now_s) / 1000,
        monotonic=lambda: loop.now_s,
    )
    log = TraceLog(world)
    with ExitStack() as stack:
        for module in (group_commit, allocator_main):
            stack.enter_context(patch.object(module, "time", clock))
        for module in (group_commit, allocator_main, allocator_loop, allocator_publisher):
            stack.enter_context(patch.object(module, "log", log))
        yield


@contextmanager
def _without_collecting() -> Iterator[None]:
    """A world is garbage when it ends; looking for some in the middle takes a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def _small_bounds(plan: Plan) -> Iterator[None]:
    """Bounds that a schedule of a hundred commands reaches."""
    with (
        patch.object(records, "COMMANDS_PER_CALL", plan.batch_commands),
        patch.object(allocator_loop, "MAX_BUFFERED_RECORDS", plan.buffered_records),
        patch.object(allocator_loop, "IDLE_LOOK_S", IDLE_LOOK_S),
        patch.object(allocator_publisher, "MAX_QUEUED_BATCHES", plan.queued_batches),
        patch.object(allocator_publisher, "MAX_EVENTS_AT_ONCE", plan.events_at_once),
        patch.object(allocator_main, "FETCH_TIMEOUT_MS", FETCH_TIMEOUT_MS),
        patch.object(allocator_main, "HELD_PAUSE_S", HELD_PAUSE_S),
        patch.object(keys, "DECISIONS_PER_CHUNK", plan.chunk_offsets),
        patch.object(verify, "DECISIONS_PER_CHUNK", plan.chunk_offsets),
        patch.object(rows_check, "DECISIONS_PER_CHUNK", plan.chunk_offsets),
    ):
        yield


@contextmanager
def _without(protections: frozenset[Protection]) -> Iterator[None]:
    """Take away what does not stand in a part of the simulation itself."""
    with ExitStack() as stack:
        if Protection.FIRST_ANSWERS_ARE_REMEMBERED not in protections:
            stack.enter_context(patch.object(fold, "REMEMBERED", frozenset()))
        if Protection.A_LOG_THAT_WAS_AWAY_IS_TRIED_AGAIN not in protections:
            stack.enter_context(patch.object(SimulatedProducer, "probe", _never))
        yield
