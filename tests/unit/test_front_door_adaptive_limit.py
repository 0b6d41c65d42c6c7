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

    def __init__(self, limit: Limit | None = None, *, in_batches: bool = False) -> None:
        self.limit = limit or AdaptiveLimit(least=LEAST, most=MOST, target_s=TARGET_S)
        self._in_batches = in_batches
        self._batch: list[tuple[float, int]] = []
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
                under_way = len(self._in_flight) + len(self._batch)
                if under_way < self.limit.limit:
                    self._in_flight.append((self.now_s, under_way + 1))
            self._owed += capacity * STEP_S
            if not self._in_flight and not self._batch:
                self._owed = min(self._owed, 1 + capacity * STEP_S)  # what is not asked for is lost
            for began_s, ahead in self._acknowledged():
                self.limit.done(self.now_s, self.now_s - began_s, ahead)
                self.took_s.append(self.now_s - began_s)
        return len(self.took_s) / seconds

    def _acknowledged(self) -> list[tuple[float, int]]:
        """One after the other, or all that waited at once, once there was time for each of them."""
        if not self._in_batches:
            done = [self._in_flight.popleft() for _ in range(min(int(self._owed), len(self._in_flight)))]
        else:
            if not self._batch:
                self._batch = list(self._in_flight)
                self._in_flight.clear()
            done = self._batch if self._owed >= len(self._batch) else []
            self._batch = [] if done else self._batch
        self._owed -= len(done)
        return done

    def p99_s(self) -> float:
        return sorted(self.took_s)[int(len(self.took_s) * 0.99)]


@pytest.mark.parametrize("in_batches", [False, True])
@pytest.mark.parametrize("capacity", [500, 1_000, 3_000])
def test_at_ten_times_what_the_log_takes_nearly_all_of_it_is_used_and_nobody_waits_long(
    capacity: int, in_batches: bool
) -> None:
    rush = Rush(in_batches=in_batches)
    rush.play(6, offered=10 * capacity, capacity=capacity)  # the first batches are those of before
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


def test_one_pause_is_no_capacity() -> None:
    limit = AdaptiveLimit(least=LEAST, most=MOST, target_s=TARGET_S)
    for number in range(100):
        limit.done(10.0 + number / 2_000, 5.0, 100)  # all of them within 50 ms
    assert limit.limit == MOST


def late(limit: AdaptiveLimit, seconds: float, ahead: int = 90) -> None:
    for number in range(round(seconds * 100)):
        limit.done(number / 100, 5.0, ahead)


def test_what_stays_late_halves_it_again_and_again_until_it_meets_the_target() -> None:
    limit = AdaptiveLimit(least=10, most=1_000, target_s=1.0)
    late(limit, 0.6)
    assert limit.limit == 500
    late(limit, 9.0, ahead=500)
    assert limit.limit == pytest.approx(100)  # 500 in five seconds


def test_it_stays_between_its_bounds() -> None:
    limit = AdaptiveLimit(least=10, most=20, target_s=1.0)
    late(limit, 9.0, ahead=20)
    assert limit.limit == 10
    for number in range(1_000):
        limit.done(2_000.0 + number, 0.5, 20)
    assert limit.limit == 20


def test_a_limit_that_holds_nobody_back_does_not_rise() -> None:
    limit = AdaptiveLimit(least=10, most=100, target_s=1.0)
    late(limit, 0.6)
    lowered = limit.limit
    limit.done(3.1, 0.1, 5)
    assert limit.limit == lowered == 50
