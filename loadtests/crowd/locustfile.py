"""What Locust runs: people who come as the plan's shape says, each living one life.

    MASKLINE_LOADTEST_PLAN=plan.json locust --headless -f loadtests/crowd/locustfile.py

A person who is through stays, and does nothing: Locust counts who is there.
"""

import itertools
import os
import time
from pathlib import Path
from typing import Any, Final

import gevent
from locust import FastHttpUser, LoadTestShape, events, task

from loadtests.crowd.lives import LIVES
from loadtests.crowd.notes import Notebook
from loadtests.crowd.visitor import Visitor
from loadtests.residents import Resident, residents
from loadtests.scenarios.plan import Plan, read

PLAN_FILE: Final = "MASKLINE_LOADTEST_PLAN"
BEGAN: Final = "MASKLINE_LOADTEST_BEGAN"
TIMEOUT_S: Final = 20.0
SLIP_LOOK_S: Final = 0.01
REST_S: Final = 3_600.0

plan: Final[Plan] = read(Path(os.environ[PLAN_FILE]))
notes: Final = Notebook(float(os.environ.get(BEGAN) or time.time()))
crowd: Final[list[Resident]] = list(residents(plan.people, plan.seed))
shape: Final = plan.shape


class Person(FastHttpUser):
    """One of the crowd; numbers go round over Locust's workers, so that no two are the same person."""

    host = plan.front_door
    connection_timeout = network_timeout = TIMEOUT_S
    count = itertools.count()

    @task
    def live(self) -> None:
        """From arriving to leaving."""
        runner: Any = self.environment.runner
        workers = max(1, int(os.environ.get("MASKLINE_LOADTEST_WORKERS", "1")))
        number = next(Person.count) * workers + max(0, getattr(runner, "worker_index", 0))
        if number < plan.people:
            LIVES[plan.life_of(number)](Visitor(self.client, plan, crowd[number], number, notes))
        gevent.sleep(REST_S)


class Arrivals(LoadTestShape):
    """How many are there: all who have come by the end of the next second."""

    def tick(self) -> tuple[int, float] | None:
        """Asked by Locust once a second."""
        now_s = notes.now_s
        if now_s >= plan.ends_s:
            return None
        come = min(plan.people, arrived(now_s + 1.0))
        return max(1, come), max(1.0, shape.rate_per_s(min(now_s, shape.seconds - 1e-3)))


def arrived(by_s: float) -> int:
    """How many have come."""
    come, left_s = 0.0, by_s
    for stretch in shape.stretches:
        part_s = min(left_s, stretch.seconds)
        if part_s <= 0:
            break
        grown = stretch.from_per_s + (stretch.to_per_s - stretch.from_per_s) * part_s / stretch.seconds
        come += part_s * (stretch.from_per_s + grown) / 2
        left_s -= stretch.seconds
    return int(come)


def watch_own_slip() -> None:
    """A generator that comes too late itself measures itself."""
    while True:
        due_s = time.perf_counter() + SLIP_LOOK_S
        gevent.sleep(SLIP_LOOK_S)
        notes.slip_us.record_value(min(max(round((time.perf_counter() - due_s) * 1e6), 1), 60_000_000))


def begin(**_: Any) -> None:
    """In every process."""
    gevent.spawn(watch_own_slip)


def end(environment: Any, **_: Any) -> None:
    """What was heard is written by those who heard it: by workers, or by the one process that there is."""
    if type(environment.runner).__name__ != "MasterRunner":
        notes.write(plan.notes)


events.test_start.add_listener(begin)  # type: ignore[no-untyped-call]
events.test_stop.add_listener(end)  # type: ignore[no-untyped-call]
