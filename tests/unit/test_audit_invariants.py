"""The promises walked over the events: what model and Lua do wrong together is found all the same."""

from typing import Any

import pytest

from services.audit.invariants import Walk
from services.audit.report import MAX_TOLD_PER_KIND, Kind, Report, merge
from services.domain import commands as c
from services.domain.events import Event
from services.domain.reasons import Reason
from services.domain.rules import bookings, offline, waiting
from tests.unit.audit_world import LATE_MS, NOW_MS, AuditWorld, command_id


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

    def refuses_ben(*about: Any) -> Any:
        return (Reason.SLOT_FULL, 0) if about[-1].resident == command_id("ben") else genuine(*about)

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


# -- shares ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def with_shares() -> AuditWorld:
    """A slot of 10 units: 5 public, 3 assisted, 2 in reserve; and a desk."""
    made = AuditWorld()
    made.campaign({"s1": 10}, rules=c.CampaignRules(assisted_per_mille=300, reserve_per_mille=200))
    made.pair_terminal()
    return made


@pytest.mark.safety
async def test_each_share_gives_out_no_more_than_it_has(with_shares: AuditWorld) -> None:
    for person in range(9):
        with_shares.reserve(f"p{person}", "s1", 1)
        with_shares.reserve(f"q{person}", "s1", 1, terminal="t1")
    assert (await with_shares.verify()).differences == []


@pytest.mark.control
async def test_a_share_that_gives_out_more_than_it_has_is_found_though_the_slot_has_enough(
    with_shares: AuditWorld, rules_are_off: None
) -> None:
    with_shares.reserve("anna", "s1", 3)
    with_shares.reserve("ben", "s1", 3)
    report = await with_shares.verify()
    assert report.oversold == 1
    assert "expected at most 5 units\n    found    6 units" in told(report, Kind.OVERSOLD)


async def test_what_was_released_may_be_given_to_everybody(with_shares: AuditWorld) -> None:
    with_shares.reserve("anna", "s1", 5)
    with_shares.reserve("ben", "s1", 2, terminal="t1")
    with_shares.reserve("carl", "s1", 1)
    with_shares.write(c.Release(id=command_id("release"), campaign="masks", slots=["s1"]), NOW_MS + 5)
    with_shares.reserve("dan", "s1", 1)
    assert (await with_shares.verify()).differences == []


async def test_a_quota_is_changed_in_its_own_share(with_shares: AuditWorld) -> None:
    more = c.ChangeQuota(id=command_id("more"), campaign="masks", slot="s1", change=2, share="assisted")
    with_shares.write(more)
    with_shares.reserve("anna", "s1", 5, terminal="t1")
    with_shares.reserve("ben", "s1", 5)
    assert (await with_shares.verify()).differences == []


# -- who did not come, who was told later ------------------------------------------------------------------------------


def expire(world: AuditWorld) -> None:
    world.write(c.Tick(at_ms=LATE_MS), LATE_MS)
    world.write(c.Expire(id=command_id("expire"), region="here", pharmacy="ph", day=20200201, sheet=0), LATE_MS)


async def test_units_of_a_no_show_are_free_and_the_resident_is_not_live(world: AuditWorld) -> None:
    world.reserve("anna", "s1", 5)
    world.reserve("ben", "s1", 3)
    expire(world)
    report = await world.verify()
    assert (report.differences, report.events) == ([], len(world.decisions) + 2)


@pytest.mark.parametrize(
    "what", ["cancelled", "expired", "waiting_ended", "promoted", "slot_changed", "picked_up", "pick_up_conflict"]
)
def test_what_happens_to_a_reservation_that_nobody_has_is_found(what: str) -> None:
    report = Report()
    event = Event(id="log:0:7:0", type=what, command="tick", at_ms=NOW_MS, campaign="masks", slot="s1", pass_no="p")
    Walk(0, report).step(7, c.MALFORMED, event)
    assert [each.kind for each in report.differences] == [Kind.NOT_HELD]


async def test_the_minute_when_a_cool_down_ends_is_not_taken_for_units_that_are_left() -> None:
    until_ms = LATE_MS + 86_400_000
    world = AuditWorld()
    world.campaign({"s1": 8, "s2": 50}, rules=c.CampaignRules(cool_down=True), cool_until_ms=until_ms)
    world.reserve("anna", "s1", 5)
    expire(world)
    (event,) = world.events(world.reserve("anna", "s2", 2, key="again"))
    assert (event.type, event.reason, event.left) == ("rejected", "cooling_down", until_ms // 60_000)
    world.reserve("ben", "s2", 2)
    report = await world.verify()
    assert (report.verify, report.differences) == ("ok", [])


async def test_what_terminals_tell_later_is_counted_and_no_difference(world: AuditWorld) -> None:
    world.pair_terminal()
    for who in ("anna", "ben"):
        world.reserve(who, "s1", 2)
    world.cancel("ben")
    world.records("anna")
    world.records("anna", key="again")
    world.records("ben")
    world.records("nobody", proof="")
    report = await world.verify()
    assert report.differences == []
    assert (report.picked_up_late, report.conflicts, report.unproved, report.picked_up_twice) == (1, 1, 1, 0)


@pytest.mark.control
async def test_a_second_hand_out_that_is_no_conflict_is_found(
    world: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offline, "handed_out", lambda _row: None)
    world.pair_terminal()
    world.reserve("anna", "s1", 2)
    world.cancel("anna")
    world.records("anna")
    world.records("anna", key="again")
    assert (await world.verify()).picked_up_twice == 1


# -- the waiting list --------------------------------------------------------------------------------------------------


@pytest.fixture
def with_waiting() -> AuditWorld:
    """A slot of 4 units, taken by anna; carl and dan wait."""
    made = AuditWorld()
    made.campaign({"s1": 4, "s2": 4}, rules=c.CampaignRules(waiting_per_mille=2_000))
    for who in ("anna", "carl", "dan"):
        made.reserve(who, "s1", 4)
    return made


async def test_freed_units_go_to_who_waits_longest(with_waiting: AuditWorld) -> None:
    with_waiting.cancel("anna")
    with_waiting.reserve("eve", "s1", 1)
    with_waiting.cancel("carl")
    with_waiting.write(c.ChangeSlot(id=command_id("change"), pass_no=command_id("dan/p"), slot="s2"))
    with_waiting.reserve("eve", "s1", 4, key="again")
    assert (await with_waiting.verify()).differences == []


async def test_who_waits_in_vain_hears_so_and_may_look_elsewhere(with_waiting: AuditWorld) -> None:
    ending = c.EndWaiting(id=command_id("end"), campaign="masks", slots=["s1"])
    with_waiting.write(ending, NOW_MS + 20)
    assert (await with_waiting.verify()).differences == []


@pytest.mark.control
async def test_units_taken_past_somebody_who_waits_are_found(
    with_waiting: AuditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "units_came_free", lambda *_: None)
    with_waiting.cancel("anna")
    monkeypatch.setattr(bookings, "why_not", lambda *_: (None, 0))
    with_waiting.reserve("eve", "s1", 1)
    report = await with_waiting.verify()
    assert report.out_of_turn == 1
    assert f"{command_id('carl/p')} waits for units" in told(report, Kind.OUT_OF_TURN)


# ----------------------------------------------------------------------------------------------------------------------


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
