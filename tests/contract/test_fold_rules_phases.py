"""Scheduled, open, paused, closed: by the clock or by an operator, and the operator has the last word."""

from collections.abc import Callable

import pytest

from services.domain import commands as c
from services.domain.reasons import Reason
from services.domain.rows import Phase
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b
from tests.contract.worlds import World, fold_all

OPENED, CLOSED = done(Fact.OPENED), done(Fact.CLOSED)


@pytest.fixture
async def scheduled(world: World) -> World:
    """A campaign that is sealed and waits for its opening."""
    await fold_all(world, b.definition([b.slot()]))
    return world


async def phase(world: World) -> Phase:
    return Phase((await world.row(f"c:{b.CAMPAIGN}")).phase)


@pytest.mark.parametrize("by_clock", [True, False])
async def test_a_scheduled_campaign_opens_and_closes(scheduled: World, by_clock: bool) -> None:
    assert await phase(scheduled) == Phase.SCHEDULED
    assert await scheduled.fold(b.open_(by_clock=by_clock)) == OPENED
    assert await phase(scheduled) == Phase.OPEN
    assert await scheduled.fold(b.close(by_clock=by_clock)) == CLOSED
    assert await phase(scheduled) == Phase.CLOSED


async def test_a_campaign_pauses_and_goes_on(scheduled: World) -> None:
    await scheduled.fold(b.open_())
    assert await scheduled.fold(b.pause()) == done(Fact.PAUSED)
    assert await phase(scheduled) == Phase.PAUSED
    assert await scheduled.fold(b.resume()) == done(Fact.RESUMED)
    assert await phase(scheduled) == Phase.OPEN


async def test_the_clock_opens_a_second_window_after_it_closed_the_first(scheduled: World) -> None:
    first = [b.open_(by_clock=True, key="morning"), b.close(by_clock=True, key="morning")]
    assert await fold_all(scheduled, first) == [OPENED, CLOSED]
    assert await scheduled.fold(b.open_(by_clock=True, key="evening")) == OPENED


async def test_the_clock_never_reopens_what_an_operator_closed(scheduled: World) -> None:
    await fold_all(scheduled, [b.open_(by_clock=True, key="morning"), b.close()])
    expected = refused(Reason.WRONG_PHASE, Phase.CLOSED)
    assert await scheduled.fold(b.open_(by_clock=True, key="evening")) == expected
    assert await phase(scheduled) == Phase.CLOSED


async def test_the_clock_does_not_open_what_an_operator_closed_before_it_began(scheduled: World) -> None:
    assert await scheduled.fold(b.close()) == CLOSED
    assert await scheduled.fold(b.open_(by_clock=True)) == refused(Reason.WRONG_PHASE, Phase.CLOSED)


async def test_an_operator_closes_for_good_what_the_clock_has_closed(scheduled: World) -> None:
    await fold_all(scheduled, [b.open_(by_clock=True, key="morning"), b.close(by_clock=True)])
    assert await scheduled.fold(b.close()) == CLOSED
    assert await scheduled.fold(b.open_(by_clock=True, key="evening")) == refused(Reason.WRONG_PHASE, Phase.CLOSED)


async def test_the_clocks_closing_takes_nothing_back_from_an_operators(scheduled: World) -> None:
    await fold_all(scheduled, [b.open_(), b.close()])
    assert await scheduled.fold(b.close(by_clock=True)) == refused(Reason.WRONG_PHASE, Phase.CLOSED)
    assert await scheduled.fold(b.open_(by_clock=True)) == refused(Reason.WRONG_PHASE, Phase.CLOSED)


async def test_an_operator_may_reopen_and_then_the_clock_is_in_charge_again(scheduled: World) -> None:
    await fold_all(scheduled, [b.open_(), b.close()])
    assert await scheduled.fold(b.open_(key="2")) == OPENED
    assert (await scheduled.row(f"c:{b.CAMPAIGN}")).closed_by_operator == 0
    assert await scheduled.fold(b.close(by_clock=True)) == CLOSED
    assert await scheduled.fold(b.open_(by_clock=True)) == OPENED


async def test_a_clock_that_slept_cannot_reopen_with_an_opening_it_sent_before(scheduled: World) -> None:
    morning = b.open_(by_clock=True, key="morning")
    await fold_all(scheduled, [morning, b.close(by_clock=True, key="morning")])
    assert await scheduled.fold(morning) == repeated([Fact.OPENED])
    assert await phase(scheduled) == Phase.CLOSED


async def test_the_clock_closes_what_an_operator_paused(scheduled: World) -> None:
    await fold_all(scheduled, [b.open_(by_clock=True), b.pause()])
    assert await scheduled.fold(b.open_(by_clock=True, key="2")) == refused(Reason.WRONG_PHASE, Phase.PAUSED)
    assert await scheduled.fold(b.close(by_clock=True)) == CLOSED


@pytest.mark.parametrize(
    ("before", "command", "phase_told"),
    [
        ([], b.pause(), Phase.SCHEDULED),
        ([], b.resume(), Phase.SCHEDULED),
        ([], b.close(by_clock=True), Phase.SCHEDULED),
        ([b.open_()], b.open_(key="2"), Phase.OPEN),
        ([b.open_()], b.resume(), Phase.OPEN),
        ([b.open_(), b.pause()], b.pause(key="2"), Phase.PAUSED),
        ([b.open_(), b.pause()], b.open_(key="2"), Phase.PAUSED),
        ([b.open_(), b.close()], b.pause(), Phase.CLOSED),
        ([b.open_(), b.close()], b.resume(), Phase.CLOSED),
    ],
)
async def test_a_transition_that_the_phase_does_not_allow_is_refused_with_the_phase(
    scheduled: World, before: list[c.Command], command: c.Command, phase_told: Phase
) -> None:
    await fold_all(scheduled, before)
    assert await scheduled.fold(command) == refused(Reason.WRONG_PHASE, phase_told)
    assert await phase(scheduled) == phase_told


@pytest.mark.parametrize("transition", [b.open_, b.pause, b.resume, b.close])
async def test_a_campaign_that_is_not_sealed_has_no_phases(world: World, transition: Callable[..., c.Command]) -> None:
    assert await world.fold(transition()) == refused(Reason.UNKNOWN_CAMPAIGN)
    await fold_all(world, b.definition([b.slot()])[:-1])
    assert await world.fold(transition(key="2")) == refused(Reason.UNKNOWN_CAMPAIGN)
