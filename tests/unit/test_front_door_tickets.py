"""Tickets: ours, whole, or nothing. A forged, edited, shortened or foreign one says nothing at all."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.front_door.tickets import TICKET_CHARACTERS, Ticket, Tickets
from services.platform import crypto
from services.platform.waiting_seeds import WaitingSeeds
from tests import room_builders as rooms

ALPHABET = string.ascii_letters + string.digits + "-_"
TICKETS = Tickets(bytes(range(32)))
EARLY = Ticket(3, 7, 2, rooms.receipt("anna"), is_early=True, number=0, expires_s=1_790_000_000)
LATE = Ticket(0, 4_294_967_295, 1, rooms.receipt("ben"), is_early=False, number=300_000, expires_s=1_790_000_000)


@pytest.mark.parametrize("ticket", [EARLY, LATE])
def test_a_ticket_says_what_it_was_written_with(ticket: Ticket) -> None:
    text = TICKETS.text(ticket)
    assert TICKETS.read(text) == ticket
    assert len(text) == TICKET_CHARACTERS
    assert set(text) <= set(ALPHABET)  # it stands in a URL and in a header


@pytest.mark.safety
@given(at=st.integers(0, TICKET_CHARACTERS - 1), character=st.sampled_from(ALPHABET))
def test_no_character_of_a_ticket_can_be_another(at: int, character: str) -> None:
    text = TICKETS.text(EARLY)
    edited = text[:at] + character + text[at + 1 :]
    assert TICKETS.read(edited) == (EARLY if edited == text else None)


@pytest.mark.control
def test_without_the_signature_somebody_else_would_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.front_door.tickets.equal", lambda *_: True)
    text = TICKETS.text(EARLY)
    read = [TICKETS.read(text[:at] + "A" + text[at + 1 :]) for at in range(4, 40)]
    assert [each for each in read if each not in (None, EARLY)]


@pytest.mark.parametrize("cut", [0, 1, 40, TICKET_CHARACTERS - 1])
def test_a_piece_of_a_ticket_is_none(cut: int) -> None:
    assert TICKETS.read(TICKETS.text(EARLY)[:cut]) is None


@given(st.text(max_size=200))
def test_whatever_somebody_sends_is_read_or_not_and_never_an_error(text: str) -> None:
    assert TICKETS.read(text) is None


@given(st.text(ALPHABET + "=+/é一", min_size=TICKET_CHARACTERS, max_size=TICKET_CHARACTERS))
def test_of_the_right_length_too(text: str) -> None:
    assert TICKETS.read(text) is None


def test_another_installation_reads_nothing_of_ours() -> None:
    assert Tickets(bytes(32)).read(TICKETS.text(EARLY)) is None


def test_a_later_layout_is_not_taken_for_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.front_door.tickets.VERSION", 2)
    text = TICKETS.text(EARLY)
    monkeypatch.undo()
    assert TICKETS.read(text) is None


def test_a_receipt_is_the_same_for_the_same_person_and_campaign_alone() -> None:
    receipts = {TICKETS.receipt(campaign, who) for campaign in ("a", "b") for who in ("anna", "ben") for _ in range(3)}
    assert len(receipts) == 4
    assert {len(crypto.from_base64url(each)) for each in receipts} == {12}


def test_a_seed_is_the_same_in_every_clock_and_of_one_opening_alone() -> None:
    clock, other = WaitingSeeds(bytes(range(32))), WaitingSeeds(bytes(range(32)))
    seeds = [clock.seed("a", "monday"), other.seed("a", "monday"), clock.seed("a", "tuesday")]
    assert seeds[0] == seeds[1] != seeds[2]
    assert [len(bytes.fromhex(seed)) for seed in seeds] == [32] * 3
