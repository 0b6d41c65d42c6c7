"""Hypothesis plays with random logs: what it finds it brings down to the fewest steps and the simplest cuts.

A failure prints the seed of its log and the fewest steps that show it: `random_log(seed, steps)` brings it back.
`test_random_logs.py` has the great numbers, and does worse things to each log.
"""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from services.audit.invariants import Walk
from services.audit.report import Report
from services.domain.commands import ChangeRules, decode
from services.domain.events import decode as decode_event
from services.domain.events import encode as encode_event
from services.domain.events import events_of, place_of
from services.domain.rows import HEAD, Facts, ReservationState, Share, SlotRow
from services.domain.rules.answers import Fact
from services.domain.rules.buckets import units_left, units_taken
from tests import builders as b
from tests.contract.random_campaigns import Record
from tests.contract.random_logs import lengths, random_log, seeds
from tests.contract.worlds import LuaWorld, decided_by_the_model, differences

pytestmark = [
    # A few seconds when all is well. What fails is shrunk first, and the shortest log is worth the wait.
    pytest.mark.timeout(400),
]

EXAMPLES = 60
EXAMPLES_OF_THE_MODEL = 200
HOLDING = {ReservationState.CONFIRMED, ReservationState.PICKED_UP}  # the units of their slot
# The fixture is an empty Valkey; each example empties it again.
random_logs = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, *settings().suppress_health_check],
)


class Batch(msgspec.Struct, frozen=True):
    """How the next call is cut: begins `back` records before the position, and goes `size` records beyond it."""

    back: int
    size: int
    published: float  # how much of what is applied is acknowledged


batches = st.lists(
    st.builds(
        Batch,
        back=st.sampled_from((0, 0, 0, 1, 5, 70)),
        size=st.sampled_from((0, 1, 2, 7, 30, 30, 60, 200)),  # each call is a round trip to a busy machine
        published=st.sampled_from((0.0, 0.0, 0.5, 1.0)),
    ),
    min_size=1,
    max_size=20,
)


def told(seed: int, steps: int, log: list[Record], decisions: list[Facts]) -> str:
    """A log's seed and its end, for a person who has to understand a failure."""
    lines = [f"{at}: {record} -> {facts}" for at, (record, facts) in enumerate(zip(log, decisions, strict=True))]
    return "\n".join([f"random_log(seed={seed}, steps={steps})", *lines[-10:]])


async def empty(lua: LuaWorld) -> None:
    await lua.redis.flushdb()
    lua.position = 0


@random_logs
@given(seed=seeds, steps=lengths, cuts=batches)
async def test_the_library_decides_as_the_model_does_however_batches_are_cut_and_repeated(
    lua: LuaWorld, seed: int, steps: int, cuts: list[Batch]
) -> None:
    await empty(lua)
    log = random_log(seed, steps)
    model, facts = await decided_by_the_model(log)
    note(told(seed, steps, log, facts))
    at = published = 0
    while lua.position < len(log):
        cut = cuts[at % len(cuts)]
        at += 1
        before = lua.position
        start = max(0, before - cut.back)
        end = before + max(cut.size, int(at > len(cuts)))  # the second time round it must move
        published = max(published, int(before * cut.published))
        folded = await lua.fold_batch(log[start:end], start, published)
        assert (folded.status, folded.position) == ("ok", min(max(end, before), len(log)))
        assert len(folded.decisions) == len(log[start:end])
        for offset, decision in enumerate(folded.decisions, start=start):
            is_gone = decision is False and offset < published
            assert is_gone or decision == facts[offset], offset
    assert differences(await model.rows(), await lua.rows()) == []


@random_logs
@given(seed=seeds, steps=lengths, size=st.integers(3, 60))
async def test_batch_cuts_change_not_one_byte(lua: LuaWorld, seed: int, steps: int, size: int) -> None:
    await empty(lua)
    log = random_log(seed, steps)
    for first in range(0, len(log), size):
        await lua.fold_batch(log[first : first + size])
    cut = await lua.values()
    await empty(lua)
    await lua.fold_batch(log)
    assert await lua.values() == cut


@settings(max_examples=EXAMPLES)
@given(seed=seeds, steps=lengths)
async def test_every_decision_has_events_that_a_reader_understands(seed: int, steps: int) -> None:
    log = random_log(seed, steps)
    _, decided = await decided_by_the_model(log)
    for offset, (record, facts) in enumerate(zip(log, decided, strict=True)):
        events = events_of(b.LOG, 3, offset, record.at_ms, decode(record.value), facts)
        assert len(events) == len(facts) > 0
        for index, event in enumerate(events):
            assert decode_event(encode_event(event)) == event
            assert place_of(event.id) == (b.LOG, 3, offset, index)


@settings(max_examples=EXAMPLES)
@given(seed=seeds, steps=lengths)
async def test_who_walks_over_the_events_alone_finds_every_promise_kept(seed: int, steps: int) -> None:
    log = random_log(seed, steps)
    _, decided = await decided_by_the_model(log)
    report = Report()
    walk = Walk(0, report)
    for offset, (record, facts) in enumerate(zip(log, decided, strict=True)):
        command = decode(record.value)
        for event in events_of(b.LOG, 0, offset, record.at_ms, command, facts):
            walk.step(offset, command, event)
    assert report.differences == [], told(seed, steps, log, decided)


@settings(max_examples=EXAMPLES_OF_THE_MODEL)
@given(seed=seeds, steps=lengths)
async def test_nothing_is_oversold_and_nobody_holds_two_whatever_the_log(seed: int, steps: int) -> None:
    log = random_log(seed, steps)
    model, decided = await decided_by_the_model(log)
    rows = await model.rows()
    live: dict[tuple[int, str], int] = {}
    units: dict[tuple[int, str, int], int] = {}
    households: dict[tuple[int, str], int] = {}
    handed_out: dict[tuple[int, str], int] = {}
    for name, row in rows.items():
        if name.startswith("r:") and row.state in HOLDING:
            live[row.no, row.resident] = live.get((row.no, row.resident), 0) + 1
            units[row.no, row.slot, row.share] = units.get((row.no, row.slot, row.share), 0) + row.units
            if row.phone:
                households[row.no, row.phone] = households.get((row.no, row.phone), 0) + 1
        if name.startswith("r:") and row.state == ReservationState.PICKED_UP:
            handed_out[row.no, row.slot] = handed_out.get((row.no, row.slot), 0) + row.units
    assert set(live.values()) <= {1}
    now_ms = rows[HEAD].now_ms
    past_deletion = {row.no for name, row in rows.items() if name[:2] == "c:" and 0 < row.delete_ms <= now_ms}
    for no, slot, row in slots_of(rows):
        for share in Share:
            held, taken = units.get((no, slot, share), 0), units_taken(row, share)
            taken -= row.moving_in if share == Share.PUBLIC else 0  # kept for people on their way
            assert held == taken or (held < taken and no in past_deletion)  # counts outlive what was picked up
            assert units_left(row, share) >= 0
            assert units_left(row, share) == 0 or not (row.withdrawn or row.to_withdraw)
        given = handed_out.get((no, slot), 0)
        assert row.picked_up == given or (given < row.picked_up and no in past_deletion)
    told_so = zip(log, decided, strict=True)
    changed = [decode(record.value) for record, facts in told_so if facts[0][0] == Fact.RULES_CHANGED]
    with_other_rules = {rows[f"c:{each.campaign}"].no for each in changed if isinstance(each, ChangeRules)}
    first_in_line = [row.precedence and row.no for name, row in rows.items() if name[:2] in ("p:", "a:")]
    for name, campaign in rows.items():
        if not name.startswith("c:"):
            continue
        assert campaign.precedence == first_in_line.count(campaign.no)
        quotas = [quota_of(row) for no, _, row in slots_of(rows) if no == campaign.no]
        assert campaign.quota == sum(quotas)
        most = campaign.household_max or len(households)
        if campaign.no in with_other_rules:  # it let more people of a household come before, or did not count them
            most = len(live)
        assert all(people <= most for (no, _), people in households.items() if no == campaign.no)
        for share, left in zip(Share, (campaign.left, campaign.assisted_left, campaign.reserve_left), strict=True):
            assert left == sum(units_left(row, share) for no, _, row in slots_of(rows) if no == campaign.no)


def quota_of(slot: SlotRow) -> int:
    """Units of all its shares."""
    return slot.quota + slot.assisted_quota + slot.reserve_quota


def slots_of(rows: dict[str, Any]) -> list[tuple[int, str, SlotRow]]:
    """Campaign number, name and row of every slot."""
    parts = [(name.split(":"), row) for name, row in rows.items() if name.startswith("s:")]
    return [(int(no), slot, row) for (_, no, slot), row in parts]
