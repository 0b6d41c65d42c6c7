"""Open arrivals come when they should, whoever still waits; a generator that cannot keep up proves nothing."""

import asyncio
import time

import pytest

from loadtests import arrivals
from loadtests.arrivals import NO_ANSWER, offer
from loadtests.shape import Shape, Stretch


async def test_everybody_comes_although_nobody_is_answered_yet() -> None:
    answered = asyncio.Event()
    waiting = 0

    async def slow(_number: int) -> int:
        nonlocal waiting
        waiting += 1
        if waiting == 100:
            answered.set()
        await answered.wait()
        return 202

    found = await offer(Shape.steady(500, 0.2), slow, max_under_way=1_000)
    assert (found.offered, found.answers, found.turned_away) == (100, {202: 100}, 0)


@pytest.mark.safety
async def test_latency_counts_from_when_somebody_should_have_come() -> None:
    """A server that stands still for 0.3 s is felt by everybody who came meanwhile, not by one."""
    found = await _stalled(Shape.steady(200, 0.5))
    assert found.offered == 100
    assert found.latency_ms(202, 50) > 50
    assert found.latency_ms(202, 99) > 250


@pytest.mark.control
async def test_a_closed_loop_would_not_see_it() -> None:
    """Coordinated omission: one after the other, and most of them find a fast server."""
    stall = _Stall()
    took_ms = []
    for number in range(100):
        began_s = time.perf_counter()
        await stall.visit(number)
        took_ms.append((time.perf_counter() - began_s) * 1000)
    assert sorted(took_ms)[50] < 50


async def test_answers_are_counted_by_status_and_by_the_second_in_which_people_came() -> None:
    async def odd(number: int) -> int:
        return 202 if number % 2 else NO_ANSWER

    found = await offer(Shape(Stretch(1, 20, 20), Stretch(0.5, 40, 40)), odd, max_under_way=100)
    assert [second.offered for second in found.seconds] == [19, 21]  # the twentieth is due when the first second ends
    assert found.answers == {202: 20, NO_ANSWER: 20}
    assert found.latency_ms(503, 99) == 0


async def test_a_generator_that_keeps_up_says_so() -> None:
    found = await offer(Shape.steady(100, 0.2), _at_once, max_under_way=10)
    assert found.slip_us.get_total_count() == 20
    found.slip_us.reset()
    found.slip_us.record_value(5_000)
    assert found.slip_ms(99) == pytest.approx(5, abs=0.01)
    assert found.void_because == ""


async def test_a_generator_that_stood_still_makes_the_run_void() -> None:
    async def busy(number: int) -> int:
        if number == 0:
            time.sleep(0.1)  # noqa: ASYNC251 - the generator itself stands still
        return 202

    found = await offer(Shape.steady(200, 0.2), busy, max_under_way=100)
    assert found.offered == 40
    assert "the generator was late itself" in found.void_because


async def test_who_was_not_sent_since_too_many_are_under_way_makes_the_run_void() -> None:
    async def slow(_number: int) -> int:
        await asyncio.sleep(0.3)
        return 202

    found = await offer(Shape.steady(100, 0.2), slow, max_under_way=5)
    assert (found.offered, found.turned_away, found.answers) == (20, 15, {202: 5})
    assert found.void_because == "15 of 20 were not sent: too many were under way in the generator"


async def test_who_stops_it_stops_everybody() -> None:
    ended = 0

    async def endless(_number: int) -> int:
        nonlocal ended
        try:
            await asyncio.sleep(60)
        finally:
            ended += 1
        return 202

    run = asyncio.create_task(offer(Shape.steady(100, 60), endless, max_under_way=1_000))
    while ended == 0:
        await asyncio.sleep(0.05)
        run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert ended > 0


def test_what_takes_longer_than_a_histogram_reaches_is_its_highest_value() -> None:
    histogram = arrivals.latencies()
    assert histogram.record_value(arrivals.HIGHEST_US)
    assert histogram.get_value_at_percentile(99) == pytest.approx(arrivals.HIGHEST_US, rel=0.001)


class _Stall:
    """Answers at once, but for 0.3 s from the tenth on."""

    def __init__(self) -> None:
        self._until_s = 0.0

    async def visit(self, number: int) -> int:
        now_s = asyncio.get_running_loop().time()
        if number == 10:
            self._until_s = now_s + 0.3
        await asyncio.sleep(max(0.0, self._until_s - now_s))
        return 202


async def _stalled(shape: Shape) -> arrivals.Offered:
    return await offer(shape, _Stall().visit, max_under_way=1_000)


async def _at_once(_number: int) -> int:
    return 202
