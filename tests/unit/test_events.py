"""Events: one or more for each decision, readable by any Kafka tool, the same bytes whenever they are made again."""

import json

import msgspec
import pytest

from services.domain import commands as c
from services.domain.events import Event, decode, encode, events_of, place_of
from services.domain.reasons import Reason
from services.domain.rows import Facts, ReservationState
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b

PARTITION, OFFSET, AT_MS = 3, 4_711, b.NOON_MS


def event_of(command: c.Command, facts: Facts) -> Event:
    (event,) = events_of(b.LOG, PARTITION, OFFSET, AT_MS, command, facts)
    return event


def test_a_confirmed_booking_tells_what_a_message_to_its_owner_needs() -> None:
    booking = b.reserve("anna", "noon", units=2)
    event = event_of(booking, b.confirmed(7))
    assert event == Event(
        id=f"{b.LOG}:3:4711:0",
        type="confirmed",
        command="reserve",
        at_ms=AT_MS,
        campaign=b.CAMPAIGN,
        slot="noon",
        units=2,
        resident=booking.resident,
        pass_no=booking.pass_no,
        phone_pseudonym=booking.phone_pseudonym,
        contact=booking.contact,
        ordinal=7,
    )


def test_a_refused_booking_tells_the_reason_and_what_was_left() -> None:
    event = event_of(b.reserve("anna"), b.rejected(Reason.SLOT_FULL, left=2))
    assert (event.type, event.reason, event.left) == ("rejected", "slot_full", 2)


def test_a_booking_refused_without_a_record_tells_the_reason() -> None:
    event = event_of(b.reserve("anna"), refused(Reason.TOO_MANY_TRIES))
    assert (event.type, event.reason, event.values) == ("refused", "too_many_tries", [])


def test_a_repeated_booking_tells_its_state_of_now() -> None:
    event = event_of(b.reserve("anna"), repeated([ReservationState.CANCELLED, 0, 0]))
    assert (event.type, event.first, event.values) == ("repeated", "cancelled", [0, 0])


@pytest.mark.parametrize(
    ("command", "facts", "told"),
    [
        (b.cancel(b.reserve("anna")), done(Fact.CANCELLED, "c", "noon", 2), {"campaign": "c", "slot": "noon"}),
        (b.pick_up(b.reserve("anna")), done(Fact.PICKED_UP, "c", "noon", 2), {"units": 2, "terminal": b.TERMINAL}),
        (b.undo(b.reserve("anna")), done(Fact.PICK_UP_UNDONE, "c", "noon", 2), {"type": "pick_up_undone"}),
        (
            b.pick_up(b.reserve("anna")),
            refused(Reason.ALREADY_PICKED_UP, AT_MS, "terminal-2"),
            {"reason": "already_picked_up", "values": [AT_MS, "terminal-2"]},
        ),
        (b.cancel(b.reserve("anna")), repeated([Fact.CANCELLED, 0]), {"type": "repeated", "first": "cancelled"}),
        (b.change_quota(+50), done(Fact.QUOTA_CHANGED, 60, 58), {"change": 50, "slot": "noon", "values": [60, 58]}),
        (b.assign_region("gz", "c"), done(Fact.REGION_ASSIGNED, 2), {"region": "gz", "partition": 2}),
        (b.pair(), done(Fact.TERMINAL_PAIRED, "t", "ph"), {"terminal": "t", "pharmacy": "ph"}),
        (b.invite(), done(Fact.TERMINAL_INVITED), {"terminal": b.TERMINAL, "pharmacy": b.PHARMACY}),
        (b.seal(), done(Fact.SEALED, 15), {"revision": b.revision("a"), "values": [15]}),
        (b.change_rules(), done(Fact.RULES_CHANGED), {"revision": b.revision("b"), "type": "rules_changed"}),
        (b.change_rules(), refused(Reason.REVISION_CHANGED, b.revision("c")), {"values": [b.revision("c")]}),
        (b.open_(), refused(Reason.WRONG_PHASE, 4), {"reason": "wrong_phase", "values": [4]}),
        (b.genesis(), done(Fact.LOG_BEGAN), {"type": "log_began", "command": "genesis"}),
        (b.tick(5), done(Fact.TICKED), {"type": "ticked", "command": "tick"}),
        (c.MALFORMED, refused(Reason.MALFORMED), {"command": "malformed", "reason": "malformed"}),
    ],
)
def test_every_decision_tells_what_its_reader_needs(command: c.Command, facts: Facts, told: dict[str, object]) -> None:
    event = event_of(command, facts)
    assert {name: getattr(event, name) for name in told} == told
    assert event.command_id == getattr(command, "id", "")


def test_who_did_it_and_why_goes_out_with_it() -> None:
    paused = msgspec.structs.replace(b.pause(), actor="ops:li", why="a bottleneck at the till")
    event = event_of(paused, done(Fact.PAUSED))
    assert (event.actor, event.why) == ("ops:li", "a bottleneck at the till")


def test_several_facts_are_several_events_with_an_index_each() -> None:
    facts = [*done(Fact.CANCELLED, "c", "noon", 1), *b.confirmed(5)]
    events = events_of(b.LOG, 0, 7, AT_MS, b.cancel(b.reserve("anna")), facts)
    assert [event.id for event in events] == [f"{b.LOG}:0:7:0", f"{b.LOG}:0:7:1"]


def test_the_same_decision_makes_the_same_bytes_again() -> None:
    booking = b.reserve("anna")
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(b.confirmed(7)))  # as recorded decisions come back
    first = encode(event_of(booking, b.confirmed(7)))
    assert encode(event_of(c.decode(c.encode(booking)), again)) == first


def test_what_is_refused_as_malformed_tells_nothing_of_itself_whether_it_can_be_read_or_not() -> None:
    malformed = refused(Reason.MALFORMED)
    named = msgspec.structs.replace(b.pause(), actor="ops:li", why="not yet in force")
    assert encode(event_of(named, malformed)) == encode(event_of(c.MALFORMED, malformed))


def test_the_receipt_of_a_purge_counts_what_is_gone_and_names_nobody() -> None:
    command = b.purge(b.reserve("anna"), residents=["anna"], phones=["anna"], entitled=["anna"], sheets=[0])
    told = json.loads(encode(event_of(command, done(Fact.PURGED, 1, 1, 1, 1, 1, 0))))
    assert told == {
        "id": f"{b.LOG}:3:4711:0", "type": "purged", "command": "purge", "at_ms": AT_MS, "campaign": b.CAMPAIGN,
        "values": [1, 1, 1, 1, 1, 0],
    }  # fmt: skip


def test_an_event_is_json_without_what_it_does_not_need() -> None:
    told = json.loads(encode(event_of(b.tick(5), done(Fact.TICKED))))
    assert told == {"id": f"{b.LOG}:3:4711:0", "type": "ticked", "command": "tick", "at_ms": AT_MS}


def test_an_event_is_read_back_as_it_was() -> None:
    event = event_of(b.reserve("anna"), b.confirmed(7))
    assert decode(encode(event)) == event


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"id":1}'])
def test_a_foreign_record_among_the_events_is_no_event(value: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(value)


def test_an_events_id_is_its_place() -> None:
    assert place_of("a:b:0:17:2") == ("a:b", 0, 17, 2)
    with pytest.raises(ValueError, match="."):
        place_of("17")


@pytest.mark.parametrize("fact", list(Fact))
def test_every_fact_and_every_reason_has_a_word(fact: Fact) -> None:
    values = [7] if fact is Fact.REPEATED else []
    assert event_of(b.tick(5), [[fact, *(values or ([Reason.MALFORMED] if fact is Fact.REFUSED else []))]]).type
    for reason in Reason:
        assert event_of(b.tick(5), refused(reason)).reason == reason.word
