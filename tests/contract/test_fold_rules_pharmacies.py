"""Stock and terminals of pharmacies."""

import pytest

from services.domain.reasons import Reason
from services.domain.rows import TerminalState
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal, time_passes


@pytest.fixture
async def city(world: World) -> World:
    """A slot of ten units, and a paired terminal at its pharmacy and at another."""
    await open_campaign(world, {"noon": 10})
    await pair_terminal(world, b.TERMINAL)
    await pair_terminal(world, "elsewhere", pharmacy="pharmacy-2")
    return world


async def test_more_stock_can_be_booked_at_once(city: World) -> None:
    await fold_all(city, [b.reserve("anna", units=5), b.reserve("ben", units=5)])
    assert await city.fold(b.reserve("cleo")) == b.rejected(Reason.SOLD_OUT)
    assert await city.fold(b.change_quota(+1)) == done(Fact.QUOTA_CHANGED, 11, 1, +1)
    assert await city.fold(b.reserve("dan")) == b.confirmed(2)
    campaign = await city.row(f"c:{b.CAMPAIGN}")
    assert (campaign.quota, campaign.left) == (11, 0)


async def test_a_quota_never_falls_below_what_is_given_out(city: World) -> None:
    await fold_all(city, [b.reserve("anna", units=3)])
    assert await city.fold(b.change_quota(-8)) == refused(Reason.BELOW_CONFIRMED, 3)
    assert await city.fold(b.change_quota(-7, key="2")) == done(Fact.QUOTA_CHANGED, 3, 0, -7)
    assert await city.fold(b.reserve("ben")) == b.rejected(Reason.SOLD_OUT)


async def test_what_was_picked_up_counts_as_given_out(city: World) -> None:
    booking = b.reserve("anna", units=3)
    await fold_all(city, [booking, b.pick_up(booking)])
    assert await city.fold(b.change_quota(-8)) == refused(Reason.BELOW_CONFIRMED, 3)


async def test_an_empty_slot_may_be_taken_away_wholly(city: World) -> None:
    assert await city.fold(b.change_quota(-10)) == done(Fact.QUOTA_CHANGED, 0, 0, -10)
    assert await city.fold(b.change_quota(-1, key="2")) == refused(Reason.BELOW_CONFIRMED, 0)


async def test_a_terminal_changes_its_own_pharmacys_slots_only(city: World) -> None:
    assert await city.fold(b.change_quota(+1, terminal=b.TERMINAL)) == done(Fact.QUOTA_CHANGED, 11, 11, +1)
    expected = refused(Reason.OTHER_PHARMACY, b.PHARMACY)
    assert await city.fold(b.change_quota(+1, terminal="elsewhere")) == expected
    assert await city.fold(b.change_quota(+1, terminal="nobody")) == refused(Reason.UNKNOWN_TERMINAL)


async def test_a_quota_of_what_nobody_defined_cannot_be_changed(city: World) -> None:
    assert await city.fold(b.change_quota(+1, "midnight")) == refused(Reason.UNKNOWN_SLOT)
    assert await city.fold(b.change_quota(+1, campaign="other")) == refused(Reason.UNKNOWN_CAMPAIGN)


async def test_a_quota_may_change_before_the_opening_and_after_the_close(world: World) -> None:
    await fold_all(world, b.definition(b.slots_of({"noon": 10})))
    assert await world.fold(b.change_quota(+1)) == done(Fact.QUOTA_CHANGED, 11, 11, +1)
    await world.fold(b.close())
    assert await world.fold(b.change_quota(-1, key="2")) == done(Fact.QUOTA_CHANGED, 10, 10, -1)


async def test_an_invited_terminal_pairs_with_its_code_and_brings_its_token(world: World) -> None:
    assert await world.fold(b.invite()) == done(Fact.TERMINAL_INVITED)
    assert (await world.row(f"t:{b.TERMINAL}")).state == TerminalState.INVITED
    pairing = b.pair()
    assert await world.fold(pairing, at_ms=b.NOON_MS + 3) == done(Fact.TERMINAL_PAIRED, b.TERMINAL, b.PHARMACY)
    row = await world.row(f"t:{b.TERMINAL}")
    assert (row.state, row.pharmacy) == (TerminalState.PAIRED, b.PHARMACY)
    assert (row.token_digest, row.since_ms) == (pairing.token_digest, b.NOON_MS + 3)
    assert await world.row("tl") == [b.TERMINAL]


async def test_a_pairing_code_works_once(world: World) -> None:
    first = b.pair(key="1")
    await fold_all(world, [b.invite(), first])
    assert await world.fold(b.pair(key="2")) == refused(Reason.PAIRING_CODE_USED)
    assert await world.fold(first) == repeated([Fact.TERMINAL_PAIRED, b.TERMINAL, b.PHARMACY])
    assert (await world.row(f"t:{b.TERMINAL}")).token_digest == first.token_digest


async def test_a_code_that_nobody_gave_out_pairs_nothing(world: World) -> None:
    assert await world.fold(b.pair("guessed")) == refused(Reason.UNKNOWN_PAIRING_CODE)


@pytest.mark.parametrize(("after_ms", "is_right"), [(b.HOUR_MS - 1, True), (b.HOUR_MS, False), (b.DAY_MS, False)])
async def test_a_pairing_code_expires(world: World, after_ms: int, is_right: bool) -> None:
    await world.fold(b.invite(expires_ms=b.NOON_MS + b.HOUR_MS))
    await time_passes(world, after_ms)
    paired = done(Fact.TERMINAL_PAIRED, b.TERMINAL, b.PHARMACY)
    assert await world.fold(b.pair()) == (paired if is_right else refused(Reason.PAIRING_CODE_EXPIRED))


async def test_a_terminal_is_invited_once_and_a_code_belongs_to_one_terminal(world: World) -> None:
    await world.fold(b.invite(b.TERMINAL, code="code"))
    assert await world.fold(b.invite(b.TERMINAL, code="other", key="2")) == refused(Reason.TERMINAL_EXISTS)
    assert await world.fold(b.invite("terminal-2", code="code")) == refused(Reason.TERMINAL_EXISTS)
    assert await world.row("tl") == [b.TERMINAL]
    assert await world.row("t:terminal-2") is None


async def test_a_revoked_terminal_may_do_nothing_and_does_not_come_back(world: World) -> None:
    await open_campaign(world, {"noon": 10})
    await pair_terminal(world)
    booking = b.reserve("anna")
    await world.fold(booking)
    assert await world.fold(b.revoke(), at_ms=b.NOON_MS + 5) == done(Fact.TERMINAL_REVOKED)
    assert (await world.row(f"t:{b.TERMINAL}")).since_ms == b.NOON_MS + 5
    assert await world.fold(b.pick_up(booking)) == refused(Reason.UNKNOWN_TERMINAL)
    assert await world.fold(b.pair(key="2")) == refused(Reason.PAIRING_CODE_USED)
    assert await world.fold(b.invite(code="new", key="2")) == refused(Reason.TERMINAL_EXISTS)


async def test_a_terminal_revoked_before_it_paired_cannot_pair(world: World) -> None:
    await fold_all(world, [b.invite(), b.revoke()])
    assert await world.fold(b.pair()) == refused(Reason.PAIRING_CODE_EXPIRED)


async def test_a_terminal_nobody_invited_cannot_be_revoked(world: World) -> None:
    assert await world.fold(b.revoke("nobody")) == refused(Reason.UNKNOWN_TERMINAL)
