"""Shares of a slot's units: public, assisted (through desks), reserve (for appeals)."""

import pytest

from services.domain.commands import CampaignRules, Reserve, encode
from services.domain.reasons import Reason
from services.domain.rows import Share
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, pair_terminal, time_passes

RELEASE_MS = b.NOON_MS + b.HOUR_MS


@pytest.fixture
async def city(world: World) -> World:
    """A slot this evening of 20 units: 12 public, 5 assisted, 3 in reserve; a paired desk."""
    slot = b.slot("evening", 20, hour=18, release_ms=RELEASE_MS)
    await open_campaign(world, [slot], assisted_per_mille=250, reserve_per_mille=150)
    await pair_terminal(world)
    return world


async def shares(world: World, slot: str = "evening", no: int = 1) -> list[tuple[int, int]]:
    """Quota and taken of public, assisted and reserve."""
    row = await world.row(f"s:{no}:{slot}")
    return [
        (row.quota, row.taken), (row.assisted_quota, row.assisted_taken), (row.reserve_quota, row.reserve_taken)
    ]  # fmt: skip


async def left(world: World) -> tuple[int, int, int]:
    row = await world.row(f"c:{b.CAMPAIGN}")
    return row.left, row.assisted_left, row.reserve_left


def at_a_desk(who: str, units: int = 1, terminal: str = b.TERMINAL, key: str = "1") -> Reserve:
    return b.reserve(who, "evening", units, terminal=terminal, key=key)


@pytest.mark.parametrize(
    ("units", "assisted", "reserve", "expected"),
    [
        (20, 250, 150, (12, 5, 3)),
        (9, 100, 20, (9, 0, 0)),
        (10, 100, 99, (9, 1, 0)),
        (19, 100, 100, (17, 1, 1)),
        (1, 1000, 0, (0, 1, 0)),
        (999, 1, 1, (999, 0, 0)),
        (1000, 1, 1, (998, 1, 1)),
        (7, 0, 0, (7, 0, 0)),
    ],
)
async def test_shares_are_rounded_down_and_the_rest_is_public(
    world: World, units: int, assisted: int, reserve: int, expected: tuple[int, int, int]
) -> None:
    await open_campaign(world, {"evening": units}, assisted_per_mille=assisted, reserve_per_mille=reserve)
    assert [quota for quota, _ in await shares(world)] == list(expected)
    assert await left(world) == expected
    assert (await world.row(f"c:{b.CAMPAIGN}")).quota == units


async def test_a_seal_tells_the_units_of_all_shares(world: World) -> None:
    facts = await fold_all(world, b.definition(b.slots_of({"evening": 20}), assisted_per_mille=250))
    assert facts[-1] == done(Fact.SEALED, 20)


async def test_shares_that_are_more_than_everything_make_a_definition_malformed(world: World) -> None:
    whole = encode(b.define(1, rules=CampaignRules(assisted_per_mille=600, reserve_per_mille=400)))
    assert await world.fold(whole.replace(b":600", b":601")) == refused(Reason.MALFORMED)
    assert await world.fold(whole) == done(Fact.DEFINED, 1)


async def test_a_desk_books_from_the_assisted_share(city: World) -> None:
    booking = at_a_desk("anna", 2)
    assert await city.fold(booking) == b.confirmed(0, Share.ASSISTED)
    assert await shares(city) == [(12, 0), (5, 2), (3, 0)]
    assert await left(city) == (12, 3, 3)
    assert (await city.row(f"r:{booking.pass_no}")).share == Share.ASSISTED


async def test_where_the_assisted_share_has_too_little_a_desk_books_like_everybody(city: World) -> None:
    await fold_all(city, [at_a_desk("anna", 4), at_a_desk("ben", 2)])
    assert await shares(city) == [(12, 2), (5, 4), (3, 0)]
    assert await city.fold(at_a_desk("cleo", 1)) == b.confirmed(2, Share.ASSISTED)
    assert await shares(city) == [(12, 2), (5, 5), (3, 0)]


async def test_residents_do_not_get_what_is_kept_for_desks_and_appeals(city: World) -> None:
    await fold_all(city, [b.reserve(who, "evening", 5) for who in ("anna", "ben")])
    assert await city.fold(b.reserve("cleo", "evening", 3)) == b.rejected(Reason.SLOT_FULL, 2)
    assert await city.fold(b.reserve("dan", "evening", 2)) == b.confirmed(2)
    assert await city.fold(b.reserve("eve", "evening")) == b.rejected(Reason.SOLD_OUT)
    assert await shares(city) == [(12, 12), (5, 0), (3, 0)]
    assert await city.fold(at_a_desk("eve", key="2")) == b.confirmed(3, Share.ASSISTED)


@pytest.mark.parametrize("terminal", ["nobody", "invited", "revoked", "abroad"])
async def test_only_a_paired_terminal_of_the_region_books_for_others(city: World, terminal: str) -> None:
    await city.fold(b.invite("invited"))
    await pair_terminal(city, "revoked")
    await city.fold(b.revoke("revoked"))
    await pair_terminal(city, "abroad", region="foshan")
    before = await shares(city)
    booking = at_a_desk("anna", terminal=terminal)
    assert await city.fold(booking) == refused(Reason.UNKNOWN_TERMINAL)
    assert await shares(city) == before
    assert await city.row(f"r:{booking.pass_no}") is None


async def test_rules_of_who_may_come_hold_at_a_desk_too(city: World) -> None:
    await city.fold(at_a_desk("anna"))
    assert await city.fold(at_a_desk("anna", key="2")) == b.rejected(Reason.ALREADY_RESERVED)
    assert await city.fold(at_a_desk("ben", 6)) == b.rejected(Reason.UNITS_OVER_LIMIT)
    await city.fold(b.pause())
    assert await city.fold(at_a_desk("cleo")) == b.rejected(Reason.PAUSED)


async def test_a_cancel_gives_units_back_to_their_own_share(city: World) -> None:
    at_desk, at_home = at_a_desk("anna", 2), b.reserve("ben", "evening", 3)
    await fold_all(city, [at_desk, at_home, b.cancel(at_desk)])
    assert await shares(city) == [(12, 3), (5, 0), (3, 0)]
    await city.fold(b.cancel(at_home))
    assert await left(city) == (12, 5, 3)


# -- release -----------------------------------------------------------------------------------------------------------


async def test_what_desks_have_not_used_becomes_public(city: World) -> None:
    await city.fold(at_a_desk("anna", 2))
    await time_passes(city, b.HOUR_MS)
    assert await city.fold(b.release("evening")) == b.released({"evening": 3})
    assert await shares(city) == [(15, 0), (2, 2), (3, 0)]
    assert await left(city) == (15, 0, 3)
    assert (await city.row(f"c:{b.CAMPAIGN}")).quota == 20


async def test_what_was_released_can_be_booked_by_everybody_at_once(city: World) -> None:
    people = [b.reserve(f"somebody {n}", "evening", 4) for n in range(3)]
    await fold_all(city, people)
    assert await city.fold(b.reserve("anna", "evening")) == b.rejected(Reason.SOLD_OUT)
    await time_passes(city, b.HOUR_MS)
    await city.fold(b.release("evening"))
    assert await city.fold(b.reserve("ben", "evening", 5)) == b.confirmed(3)
    assert await city.fold(at_a_desk("cleo")) == b.rejected(Reason.SOLD_OUT)


async def test_a_second_release_changes_nothing(city: World) -> None:
    await time_passes(city, b.HOUR_MS)
    first = b.release("evening")
    await city.fold(first)
    before = await shares(city)
    assert await city.fold(first) == repeated([Fact.RELEASED, 5])
    assert await city.fold(b.release("evening", key="2")) == b.released({})
    assert await shares(city) == before == [(17, 0), (0, 0), (3, 0)]


@pytest.mark.parametrize(("ms", "units"), [(-1, 0), (0, 5)])
async def test_nothing_is_released_before_its_time(city: World, ms: int, units: int) -> None:
    await time_passes(city, b.HOUR_MS + ms)
    assert await city.fold(b.release("evening")) == b.released({"evening": units} if units else {})
    assert await left(city) == (12 + units, 5 - units, 3)


async def test_a_slot_without_a_time_of_release_keeps_its_share(world: World) -> None:
    await open_campaign(world, {"noon": 10}, assisted_per_mille=500)
    await time_passes(world, 30 * b.DAY_MS)
    assert await world.fold(b.release("noon")) == b.released({})
    assert [quota for quota, _ in await shares(world, "noon")] == [5, 5, 0]


async def test_a_release_passes_over_what_is_not_there_and_takes_a_slot_once(city: World) -> None:
    await time_passes(city, b.HOUR_MS)
    assert await city.fold(b.release("unknown", "evening", "evening")) == b.released({"evening": 5})
    assert await city.fold(b.release(campaign="other")) == refused(Reason.UNKNOWN_CAMPAIGN)


async def test_what_a_desk_gives_back_after_the_release_can_be_released_again(city: World) -> None:
    booking = at_a_desk("anna", 4)
    await city.fold(booking)
    await time_passes(city, b.HOUR_MS)
    assert await city.fold(b.release("evening")) == b.released({"evening": 1})
    await city.fold(b.cancel(booking))
    assert await shares(city) == [(13, 0), (4, 0), (3, 0)]
    assert await city.fold(b.release("evening", key="2")) == b.released({"evening": 4})


# -- quota -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "at"), [("public", 0), ("assisted", 1), ("reserve", 2)])
async def test_a_change_of_quota_is_one_shares(city: World, share: str, at: int) -> None:
    quota = (12, 5, 3)[at]
    more = b.change_quota(+4, "evening", share=share)
    assert await city.fold(more) == done(Fact.QUOTA_CHANGED, quota + 4, quota + 4, +4)
    assert (await left(city))[at] == quota + 4
    assert [each for n, each in enumerate(await shares(city)) if n != at] == [
        (each, 0) for n, each in enumerate((12, 5, 3)) if n != at
    ]
    assert (await city.row(f"c:{b.CAMPAIGN}")).quota == 24


async def test_a_quota_falls_no_lower_than_what_its_own_share_gave_out(city: World) -> None:
    await fold_all(city, [at_a_desk("anna", 3), b.reserve("ben", "evening", 1)])
    assert await city.fold(b.change_quota(-3, "evening", share="assisted")) == refused(Reason.BELOW_CONFIRMED, 3)
    expected = done(Fact.QUOTA_CHANGED, 3, 0, -2)
    assert await city.fold(b.change_quota(-2, "evening", share="assisted", key="2")) == expected
    too_much = b.change_quota(-4, "evening", share="reserve", key="3")
    assert await city.fold(too_much) == refused(Reason.BELOW_CONFIRMED, 0)
    assert await city.fold(b.change_quota(-12, "evening", key="4")) == refused(Reason.BELOW_CONFIRMED, 1)
