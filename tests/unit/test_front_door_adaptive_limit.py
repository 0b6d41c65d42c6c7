"""The limit finds what a log can take, in virtual time: one that acknowledges so many commands a second, in order."""

from collections import deque
from typing import Protocol

import pytest

from services.front_door.adaptive_limit import AdaptiveLimit

TARGET_S = 0.2
STEP_S = 0.001
LEAST, MOST = 16, 800


class Limit(Protocol):
    limit: float

    def done(self, now_s: float, took_s: float, ahead: int) -> None: ...


class NoLimit:
    """The protection is taken away."""

    limit = float("inf")

    def done(self, *_: float) -> None:
        pass


class Rush:
    """People who come at a rate, whatever they hear, to a door before a log with a queue."""

    def __init__(self, limit: Limit | None = None) -> None:
        self.limit = limit or AdaptiveLimit(least=LEAST, most=MOST, target_s=TARGET_S)
        self.now_s = 0.0
        self.took_s: list[float] = []
        self._in_flight: deque[tuple[float, int]] = deque()
        self._owed = self._coming = 0.0

    def play(self, seconds: float, *, offered: float, capacity: float) -> float:
        """Acknowledged commands a second; how long each took is in `took_s`."""
        self.took_s.clear()
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            self._coming += offered * STEP_S
            while self._coming >= 1:
                self._coming -= 1
                if len(self._in_flight) < self.limit.limit:
                    self._in_flight.append((self.now_s, len(self._in_flight) + 1))
            self._owed = min(self._owed + capacity * STEP_S, 1 + capacity * STEP_S)  # what is not asked for is lost
            while self._owed >= 1 and self._in_flight:
                self._owed -= 1
                began_s, ahead = self._in_flight.popleft()
                self.limit.done(self.now_s, self.now_s - began_s, ahead)
                self.took_s.append(self.now_s - began_s)
        return len(self.took_s) / seconds

    def p99_s(self) -> float:
        return sorted(self.took_s)[int(len(self.took_s) * 0.99)]


@pytest.mark.parametrize("capacity", [500, 1_000, 3_000])
def test_at_ten_times_what_the_log_takes_nearly_all_of_it_is_used_and_nobody_waits_long(capacity: int) -> None:
    rush = Rush()
    rush.play(2, offered=10 * capacity, capacity=capacity)
    assert rush.play(30, offered=10 * capacity, capacity=capacity) >= 0.98 * capacity
    assert rush.p99_s() <= 0.3


@pytest.mark.control
def test_without_it_people_wait_for_ever_longer() -> None:
    rush = Rush(NoLimit())
    rush.play(10, offered=10_000, capacity=1_000)
    assert rush.p99_s() > 5


def test_while_the_log_takes_all_that_come_nobody_is_refused() -> None:
    rush = Rush()
    assert rush.play(10, offered=3_000, capacity=4_000) >= 2_990
    assert rush.p99_s() <= 0.01
    assert rush.limit.limit == MOST


def test_a_log_that_becomes_slow_keeps_nobody_waiting_for_more_than_a_moment() -> None:
    rush = Rush()
    rush.play(5, offered=10_000, capacity=4_000)
    rush.play(3, offered=10_000, capacity=400)  # those who were in it already
    rush.play(5, offered=10_000, capacity=400)
    assert rush.p99_s() <= 0.3


def test_a_log_that_is_fast_again_is_used_again_within_two_seconds() -> None:
    rush = Rush()
    rush.play(10, offered=10_000, capacity=100)
    rush.play(2, offered=10_000, capacity=4_000)
    assert rush.play(1, offered=10_000, capacity=4_000) >= 0.95 * 4_000


def test_a_log_that_stood_still_is_used_again_within_a_second() -> None:
    rush = Rush()
    rush.play(1, offered=10_000, capacity=4_000)
    rush.play(3, offered=10_000, capacity=0)
    rush.play(1, offered=10_000, capacity=4_000)
    assert rush.play(1, offered=10_000, capacity=4_000) >= 0.98 * 4_000
    assert rush.p99_s() <= 0.3


def test_one_pause_halves_it_once() -> None:
    limit = AdaptiveLimit(least=LEAST, most=MOST, target_s=TARGET_S)
    for _ in range(100):
        limit.done(10.0, 5.0, 100)
    assert limit.limit == MOST / 2


def test_it_stays_between_its_bounds() -> None:
    limit = AdaptiveLimit(least=10, most=20, target_s=1.0)
    for number in range(100):
        limit.done(number * 10.0, 5.0, 20)
    assert limit.limit == 10
    for number in range(1_000):
        limit.done(2_000.0 + number, 0.5, 20)
    assert limit.limit == 20


def test_a_limit_that_holds_nobody_back_does_not_rise() -> None:
    limit = AdaptiveLimit(least=10, most=100, target_s=1.0)
    limit.done(2.0, 2.0, 90)
    lowered = limit.limit
    limit.done(3.1, 0.1, 5)
    assert limit.limit == lowered == 50
