"""The promises walked over the events: what model and Lua do wrong together is found all the same."""

from typing import Any

import pytest

from services.audit.report import MAX_TOLD_PER_KIND, Kind, Report, merge
from services.domain import commands as c
from services.domain.reasons import Reason
from services.domain.rules import bookings
from tests.unit.audit_world import AuditWorld, command_id


@pytest.fixture
def world() -> AuditWorld:
    """A campaign with a slot of 8 units."""
    made = AuditWorld()
    made.campaign({"s1": 8, "s2": 50})
    return made


@pytest.fixture
def rules_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody gets everything, in the model and so in this world's Redis as well."""
    monkeypatch.setattr(bookings, "why_not", lambda *_: (None, 0))


def told(report: Report, kind: Kind) -> str:
    return "\n".join(str(each) for each in report.differences if each.kind == kind)


@pytest.mark.safety
async def test_a_slot_that_was_wanted_by_too_many_is_not_oversold(world: AuditWorld) -> None:
    for person in range(10):
        world.reserve(f"p{person}", "s1", 3)
    report = await world.verify()
    assert (report.verify, report.oversold) == ("ok", 0)


@pytest.mark.control
async def test_with_the_rules_off_the_same_slot_is_oversold_though_redis_equals_the_model(
    world: AuditWorld, rules_are_off: None
) -> None:
    for person in range(10):
        world.reserve(f"p{person}", "s1", 3)
    report = await world.verify()
    assert report.oversold == 22
    assert "expected at most 8 units\n    found    9 units" in told(report, Kind.OVERSOLD)


@pytest.mark.safety
async def test_nobody_has_two_live_reservations(world: AuditWorld) -> None:
    world.reserve("anna", "s1", 1)
    world.reserve("anna", "s2", 1, key="again")
    assert (await world.verify()).verify == "ok"


@pytest.mark.control
async def test_with_the_rules_off_a_second_live_reservation_is_found(world: AuditWorld, rules_are_off: None) -> None:
    world.reserve("anna", "s1", 1)
    world.reserve("anna", "s2", 1, key="again")
    report = await world.verify()
    assert report.duplicates == 1
    assert f"resident {command_id('anna')}" in told(report, Kind.TWO_LIVE)


async def test_a_cancelled_reservation_is_no_longer_live_and_its_units_are_free(world: AuditWorld) -> None:
    world.reserve("anna", "s1", 5)
    world.reserve("ben", "s1", 5)
    world.cancel("anna")
    world.reserve("anna", "s1", 5, key="again")
    assert (await world.verify()).differences == []


async def test_a_smaller_wish_may_be_served_after_a_larger_one_was_refused(world: AuditWorld) -> None:
    world.reserve("anna", "s1", 5)
    world.reserve("ben", "s1", 5)
    world.reserve("carl", "s1", 3)
    assert (await world.verify()).differences == []


async def test_being_served_after_somebody_was_refused_as_much_is_out_of_turn(
    world: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = bookings.why_not

    def refuses_ben(campaign: Any, slot: Any, person: Any, command: Any) -> Any:
        if command.resident == command_id("ben"):
            return Reason.SLOT_FULL, 0
        return genuine(campaign, slot, person, command)

    monkeypatch.setattr(bookings, "why_not", refuses_ben)
    world.reserve("ben", "s1", 2)
    world.reserve("carl", "s1", 2)
    report = await world.verify()
    assert report.out_of_turn == 1
    assert "somebody before was refused 2 units" in told(report, Kind.OUT_OF_TURN)
    assert "expected 8 units left" in told(report, Kind.UNTRUE_REFUSAL)


async def test_a_pick_up_that_was_undone_may_happen_again(world: AuditWorld) -> None:
    world.pair_terminal()
    world.reserve("anna", "s1", 5)
    world.pick_up("anna")
    world.write(c.UndoPickUp(id=command_id("undo"), pass_no=command_id("anna/p"), terminal="t1"))
    world.pick_up("anna", key="again")
    assert (await world.verify()).differences == []


async def test_stock_that_was_added_may_be_given_out(world: AuditWorld) -> None:
    world.reserve("anna", "s1", 5)
    world.reserve("ben", "s1", 5)
    world.write(c.ChangeQuota(id=command_id("more"), campaign="masks", slot="s1", change=2))
    world.reserve("carl", "s1", 5)
    assert (await world.verify()).differences == []


async def test_a_second_pick_up_is_found(world: AuditWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.pair_terminal()
    world.reserve("anna", "s1", 5)
    world.pick_up("anna")
    world.state.rows[f"r:{command_id('anna/p')}"].state = 1
    again = world.pick_up("anna", key="again")
    report = await world.verify()
    assert report.picked_up_twice == 1
    assert f"offset {again}" in told(report, Kind.PICKED_UP_TWICE)


def test_of_many_differences_the_first_of_each_kind_are_told_and_all_are_counted() -> None:
    report = Report()
    for offset in range(MAX_TOLD_PER_KIND + 5):
        report.add(Kind.ROW, 0, "differs", offset=offset)
    report.add(Kind.LOG, 0, "another log")
    assert len(report.differences) == MAX_TOLD_PER_KIND + 1
    assert report.differing == MAX_TOLD_PER_KIND + 6
    assert "and 5 more" in "\n".join(report.lines())


def test_reports_of_partitions_add_up() -> None:
    whole, part = Report(records=3), Report(records=4, oversold=1)
    part.add(Kind.OVERSOLD, 1, "too much")
    merge(whole, part)
    assert (whole.records, whole.oversold, whole.verify, whole.exit_code) == (7, 1, "differs", 1)
