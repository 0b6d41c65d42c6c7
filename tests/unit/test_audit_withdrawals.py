"""Withdrawals, walked over the events: units that are gone stay gone, and the reserve is for who lost a place."""

from typing import Any

import pytest

from services.audit.invariants import Walk
from services.audit.report import Kind, Report
from services.domain import commands as c
from services.domain.events import Event
from services.domain.reasons import Reason
from services.domain.rows import CampaignRow, Share, SlotRow
from services.domain.rules import bookings, buckets, pharmacies, reservations, withdrawal
from services.domain.rules.answers import Fact
from tests.unit.audit_world import NOW_MS, AuditWorld, command_id

SHEET = 16
MANY = SHEET + 4


@pytest.fixture
def world() -> AuditWorld:
    """Twenty people in a slot of as many units; another one has thirty, and three in reserve."""
    made = AuditWorld()
    made.campaign({"s1": MANY, "s2": 33})
    made.pair_terminal()
    for person in range(MANY):
        made.reserve(f"p{person}", "s1", 1)
    return made


def withdraw(world: AuditWorld, keep: int = 0, slot: str = "s1") -> int:
    offset = world.write(c.WithdrawSlot(id=command_id(f"withdraw/{slot}"), campaign="masks", slot=slot, keep=keep))
    assert world.decisions[offset][0][0] == Fact.SLOT_WITHDRAWN
    return offset


def move(world: AuditWorld, keep: int = 0) -> int:
    offset = world.write(c.MoveSlot(id=command_id("move"), campaign="masks", slot="s1", to="s2", keep=keep))
    assert world.decisions[offset][0][0] == Fact.SLOT_WITHDRAWN
    return offset


def quota(world: AuditWorld, change: int, slot: str, share: str = "public") -> int:
    told = command_id(f"{slot}{share}{change}")
    offset = world.write(c.ChangeQuota(id=told, campaign="masks", slot=slot, change=change, share=share))
    assert world.decisions[offset][0][0] == Fact.QUOTA_CHANGED
    return offset


def told(report: Report, kind: Kind) -> str:
    return "\n".join(str(each) for each in report.differences if each.kind == kind)


@pytest.mark.safety
async def test_people_who_lose_their_places_and_who_come_meanwhile_are_no_difference(world: AuditWorld) -> None:
    withdraw(world, keep=2)
    world.cancel("p0")
    world.reserve("anna", "s1", 1)
    quota(world, +3, "s1")
    for person in ("p19", "p18"):
        world.reserve(person, "s2", 1, key="again")
    world.records("p17")
    assert (await world.verify()).differences == []


@pytest.mark.control
async def test_units_that_come_back_and_are_given_out_again_are_found(
    world: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leaves_units(_campaign: CampaignRow, slot: SlotRow, _share: int, units: int) -> None:
        slot.to_withdraw -= min(units, slot.to_withdraw)

    monkeypatch.setattr(reservations, "absorb", leaves_units)
    withdraw(world, keep=MANY - 2)
    world.reserve("anna", "s1", 2)
    report = await world.verify()
    assert report.oversold > 0
    assert "more was given out than the share of the slot has" in told(report, Kind.OVERSOLD)


async def test_places_that_are_lost_although_something_came_for_these_people_are_found(
    world: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pharmacies, "absorb", lambda *_: None)
    withdraw(world)
    quota(world, +4, "s1")
    report = await world.verify()
    assert report.out_of_turn == 4
    assert "the slot could keep this place" in told(report, Kind.OUT_OF_TURN)


async def test_people_on_their_way_and_whoever_books_beside_them_are_no_difference(world: AuditWorld) -> None:
    move(world, keep=1)
    world.reserve("anna", "s2", 5)
    world.cancel("p19")
    world.reserve("ben", "s2", 5)
    assert (await world.verify()).differences == []


@pytest.mark.control
async def test_somebody_who_books_past_people_on_their_way_is_found(
    world: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    quota(world, -13, "s2")
    genuine = buckets.take
    held = [True]

    def keeps_nothing(campaign: Any, slot: Any, share: int, units: int) -> None:
        if not held.pop():
            genuine(campaign, slot, share, units)
        held.append(False)

    monkeypatch.setattr(withdrawal, "take", keeps_nothing)
    move(world)
    world.reserve("anna", "s2", 5)
    report = await world.verify()
    assert "expected at most 20 units" in told(report, Kind.OVERSOLD)


@pytest.mark.parametrize("what", ["withdrawn", "moved"])
def test_a_place_that_nobody_had_and_that_is_lost_is_found(what: str) -> None:
    report = Report()
    event = Event(id="log:0:7:0", type=what, command="tick", at_ms=NOW_MS, campaign="masks", slot="s1", pass_no="p")
    Walk(0, report).step(7, c.MALFORMED, event)
    assert [each.kind for each in report.differences] == [Kind.NOT_HELD]


async def test_somebody_who_has_theirs_and_is_moved_is_found(
    world: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.write(c.Tick(at_ms=NOW_MS))
    world.pick_up("p19")
    world.state.rows[f"r:{command_id('p19/p')}"].state = 1
    move(world)
    assert f"{command_id('p19/p')} was moved" in told(await world.verify(), Kind.NOT_HELD)


async def test_units_that_are_cut_from_what_people_have_are_found(
    world: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(withdrawal, "units_left", lambda slot, share: buckets.units_left(slot, share) + 1)
    withdraw(world, keep=MANY - 1)
    assert "more was cut" in told(await world.verify(), Kind.OVERSOLD)


async def test_a_refusal_for_a_withdrawal_that_was_none_is_found(
    world: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookings, "why_not", lambda *_: (Reason.SLOT_WITHDRAWN, 0))
    world.reserve("anna", "s2", 1)
    assert "refused as slot_withdrawn" in told(await world.verify(), Kind.UNTRUE_REFUSAL)


async def test_a_slot_that_gets_something_after_all_is_withdrawn_no_more(
    world: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    withdraw(world, slot="s2")
    world.reserve("anna", "s2", 1)
    quota(world, +2, "s2")
    monkeypatch.setattr(bookings, "why_not", lambda *_: (Reason.SLOT_WITHDRAWN, 0))
    world.reserve("anna", "s2", 1, key="again")
    report = await world.verify()
    assert told(report, Kind.UNTRUE_REFUSAL).count("refused as slot_withdrawn") == 1


# -- precedence --------------------------------------------------------------------------------------------------------


@pytest.mark.safety
async def test_who_lost_a_place_gets_the_reserve_and_a_refusal_tells_what_it_had(world: AuditWorld) -> None:
    withdraw(world)
    quota(world, +3, "s2", "reserve")
    world.write(c.Close(id=command_id("close"), campaign="masks"))
    world.reserve("p0", "s2", 5, key="too much")
    world.reserve("p1", "s2", 3, key="again")
    world.reserve("p0", "s2", 1, key="too late")
    world.reserve("anna", "s2", 1)
    report = await world.verify()
    assert report.differences == []
    assert [event.left for offset in range(len(world.decisions)) for event in world.events(offset)][-3:] == [0, 0, 0]


@pytest.mark.control
async def test_the_reserve_in_the_hands_of_who_lost_nothing_is_found(
    world: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    quota(world, +3, "s2", "reserve")
    monkeypatch.setattr(bookings, "share_for", lambda *_: int(Share.RESERVE))
    world.reserve("anna", "s2", 1)
    assert "the reserve is for those with precedence" in told(await world.verify(), Kind.OUT_OF_TURN)


@pytest.mark.parametrize("used_up", ["booked", "handed out"])
async def test_the_reserve_in_the_hands_of_who_has_got_units_again_is_found(
    world: AuditWorld, monkeypatch: pytest.MonkeyPatch, used_up: str
) -> None:
    quota(world, +3, "s2", "reserve")
    withdraw(world)
    world.write(c.Tick(at_ms=NOW_MS))
    if used_up == "booked":
        world.reserve("p0", "s2", 1, key="again")
        world.cancel("p0", key="again")
    else:
        world.records("p0")
    monkeypatch.setattr(bookings, "share_for", lambda *_: int(Share.RESERVE))
    world.reserve("p0", "s2", 1, key="third")
    assert "the reserve is for those with precedence" in told(await world.verify(), Kind.OUT_OF_TURN)
