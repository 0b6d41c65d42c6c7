"""Booking for somebody at the desk: the assisted share first, the rules of everybody, and the pass in the answer."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.domain import commands as c
from services.platform.identities import partition_of
from services.state.errors import StateUnavailableError
from tests.unit.counter_world import (
    DAY_MS,
    DELETION_DAY,
    MIDNIGHT_MS,
    NOON_MS,
    CounterWorld,
    Heard,
    Till,
    counter,
    slot,
)

DAY_AFTER_MS = MIDNIGHT_MS + 2 * DAY_MS
RULES = c.CampaignRules(assisted_per_mille=500, household_max=2)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[CounterWorld]:
    """A campaign with a slot of ten units tonight, half of them for desks."""
    async with counter(tmp_path) as world:
        tonight = slot("s-tonight", hour=18, units=10)
        there = slot("s-there", "p-2", hour=18)
        read = {"units_max": 5, "document_types": ["passport"], "household_max": 2}
        await world.applies(tonight, there, campaign="gz-desk", rules=RULES, read_rules=read)
        yield world


def wish(document: str = "A0000001", units: int = 2, **changes: Any) -> dict[str, Any]:
    resident = {"document_type": "passport", "document_number": document}
    return {"campaign": "gz-desk", "slot": "s-tonight", "units": units, "resident": resident} | changes


async def books(
    till: Till, document: str = "A0000001", units: int = 2, *, key: str | None = None, **changes: Any
) -> Heard:
    return await till.post("/v1/reservations", wish(document, units, **changes), key=key)


def reserved(world: CounterWorld) -> c.Reserve:
    command = world.folded.commands(1, c.Reserve)[-1]
    assert isinstance(command, c.Reserve)
    return command


async def test_somebody_at_the_desk_is_booked_and_gets_the_pass(world: CounterWorld) -> None:
    till = await world.paired()
    heard = await books(till)
    assert heard.status == 201
    told = heard.json
    assert (told["state"], told["units"], told["slot"], told["pharmacy"]) == ("confirmed", 2, "s-tonight", "p-1")
    assert (told["starts_at"], told["pharmacy_name"]) == ("2020-02-01T18:00:00+08:00", "Yong'an pharmacy")
    assert partition_of(told["id"]) == 1
    assert world.identities.pass_no(told["id"]) == told["pass_no"] == reserved(world).pass_no
    out = await till.post("/v1/pickups", {"pass": told["pass"]})
    assert (out.status, out.json["state"]) == (200, "picked_up")


async def test_the_short_code_and_the_document_work_as_well(world: CounterWorld) -> None:
    till = await world.paired()
    told = (await books(till, "A0000001")).json
    shown = {"short_code": told["short_code"], "document_last4": "0001"}
    assert (await till.post("/v1/pickups", shown)).json["pass_no"] == told["pass_no"]


async def test_it_takes_the_assisted_share_first_and_then_the_public_one(world: CounterWorld) -> None:
    till = await world.paired()
    for n, units in enumerate((4, 2, 1)):
        assert (await books(till, f"A000000{n}", units)).status == 201
    row = world.folded.row(1, "s:2:s-tonight")
    assert (row.assisted_taken, row.taken) == (5, 2)


async def test_a_desk_books_in_any_pharmacy_of_its_region_and_in_no_other_region(world: CounterWorld) -> None:
    await world.applies(slot("s-foshan", hour=18), campaign="fs-2020-02", region="foshan")
    till = await world.paired()
    assert (await books(till, slot="s-there")).json["pharmacy"] == "p-2"
    heard = await books(till, "A0000002", campaign="fs-2020-02", slot="s-foshan")
    assert (heard.status, heard.reason) == (404, "unknown_campaign")


async def test_the_same_key_is_the_same_booking_with_its_state_of_now(world: CounterWorld) -> None:
    till = await world.paired()
    first, again = [await books(till, key="k") for _ in range(2)]
    assert (first.status, again.status) == (201, 201)
    assert first.json == again.json
    await till.post(f"/v1/reservations/{first.json['pass_no']}/cancel", {"why": "changed their mind"})
    later = await books(till, key="k")
    assert (later.status, later.json["state"]) == (200, "cancelled")
    assert "pass" not in later.json


async def test_the_same_key_with_another_wish_is_found_out_and_at_another_desk_is_another_booking(
    world: CounterWorld,
) -> None:
    till, other = await world.paired(), await world.paired("till-2")
    await books(till, key="k", units=1)
    heard = await books(till, key="k", units=2)
    assert (heard.status, heard.reason) == (422, "idempotency_key_reused")
    assert (await books(other, key="k", units=1)).reason == "already_reserved"


@pytest.mark.parametrize("reason", ["already_reserved", "slot_full", "units_over_limit", "paused", "slot_over"])
async def test_who_is_refused_hears_why_and_whom_to_ask(world: CounterWorld, reason: str) -> None:
    till = await world.paired()
    units, key = 2, "refused"
    if reason == "already_reserved":
        await books(till)
    elif reason == "slot_full":
        for n, taken in enumerate((5, 4)):
            await books(till, f"B000000{n}", taken)
    elif reason == "units_over_limit":
        units = 6
    elif reason == "paused":
        world.write(c.Pause(id=world.id(), campaign="gz-desk"))
    else:
        for _ in range(2):
            world.time_is(NOON_MS + 11 * 3_600_000)
    for heard in [await books(till, "A0000001", units, key=key) for _ in range(2)]:  # a repeat like the first
        assert (heard.status, heard.reason, heard.json["state"]) == (409, reason, "rejected")
        assert heard.json["how_to_appeal"]["phone"] == "12345"
        assert heard.json.get("left") == ({"slot_full": 1}.get(reason))
        assert heard.json.get("units_max") == ({"units_over_limit": 5}.get(reason))


async def test_who_got_some_not_long_ago_is_told_from_which_day_on_there_is_more(world: CounterWorld) -> None:
    tonight = slot("s-cool", hour=18, cool_until_ms=DAY_AFTER_MS)
    await world.applies(tonight, campaign="gz-cool", rules=c.CampaignRules(cool_down=True))
    await world.applies(slot("s-next", day=1), campaign="gz-next", rules=c.CampaignRules(cool_down=True))
    till = await world.paired()
    assert (await books(till, campaign="gz-cool", slot="s-cool")).status == 201
    for heard in [await books(till, campaign="gz-next", slot="s-next", key="k") for _ in range(2)]:
        assert (heard.status, heard.reason, heard.json["from_day"]) == (409, "cooling_down", "2020-02-03")
        assert "left" not in heard.json


async def test_a_phone_is_counted_for_its_household_and_is_nowhere_in_clear(world: CounterWorld) -> None:
    till = await world.paired()
    for n in (1, 2):
        assert (await books(till, f"A000000{n}", 1, phone="138 0000 0000")).status == 201
    heard = await books(till, "A0000003", 1, phone="+86 13800000000")
    assert (heard.reason, heard.json["household_max"]) == ("household_limit", 2)
    command = reserved(world)
    assert len(command.phone_pseudonym) == 16
    for secret in (b"13800000000", b"A0000001"):
        assert secret not in world.folded.values(1)


async def test_who_has_no_phone_is_booked_without_one(world: CounterWorld) -> None:
    till = await world.paired()
    for n in range(3):
        assert (await books(till, f"A000000{n}", 1)).status == 201
    assert (reserved(world).phone_pseudonym, reserved(world).contact) == ("", "")


async def test_a_campaign_that_staggers_gets_the_digit_and_asks_for_a_birth_year_it_cannot_know(
    world: CounterWorld,
) -> None:
    stagger = {"by": "birth_year_digit", "days": {"mon": [1]}}
    rules = {"units_max": 5, "document_types": ["passport"], "stagger": stagger}
    await world.applies(slot("s-stagger", hour=18), campaign="gz-stagger", read_rules=rules)
    till = await world.paired()
    resident = {"document_type": "passport", "document_number": "A0000001"}
    asked: dict[str, Any] = {"campaign": "gz-stagger", "slot": "s-stagger", "resident": resident}
    heard = await books(till, **asked)
    assert (heard.status, heard.reason, heard.json["field"]) == (400, "malformed", "resident.birth_year")
    assert (await books(till, **asked | {"resident": resident | {"birth_year": 1957}})).status == 201
    assert reserved(world).digit == 7


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"campaign": "nothing"}, 404, "unknown_campaign"),
        ({"slot": "s-morning"}, 404, "unknown_slot"),
        ({"phone": "110"}, 400, "phone_invalid"),
        ({"resident": {"document_type": "passport", "document_number": "?"}}, 409, "document_invalid"),
        ({"resident": {"document_type": "library_card", "document_number": "1"}}, 400, "malformed"),
        ({"units": 0}, 400, "malformed"),
        ({"units": "5"}, 400, "malformed"),
        ({"units": None}, 400, "malformed"),
        ({"units": 10**7}, 400, "malformed"),
        ({"terminal": "till-2"}, 400, "malformed"),
    ],
)
async def test_what_cannot_be_booked_is_refused_before_the_log(
    world: CounterWorld, changes: dict[str, Any], status: int, reason: str
) -> None:
    till = await world.paired()
    before = len(world.folded.values(1))
    heard = await books(till, **changes)
    assert (heard.status, heard.reason) == (status, reason)
    assert len(world.folded.values(1)) == before


async def test_a_wrong_checksum_is_refused_with_its_field_and_without_the_number(world: CounterWorld) -> None:
    rules = {"units_max": 5, "document_types": ["cn_resident_id"]}
    await world.applies(slot("s-card", hour=18), campaign="gz-card", read_rules=rules)
    till, before = await world.paired(), len(world.folded.values(1))
    for number, status in (("110105194912310021", 409), ("11010519491231002X", 201)):
        resident = {"document_type": "cn_resident_id", "document_number": number}
        heard = await books(till, campaign="gz-card", slot="s-card", resident=resident)
        assert heard.status == status
        assert number not in heard.text
        if status == 409:
            assert (heard.reason, heard.json["field"]) == ("document_invalid", "resident.document_number")
            assert len(world.folded.values(1)) == before


async def test_a_kind_of_document_that_the_campaign_does_not_take_is_refused(world: CounterWorld) -> None:
    rules = {"units_max": 5, "document_types": ["military_id"]}
    await world.applies(slot("s-army", hour=18), campaign="gz-army", read_rules=rules)
    heard = await books(await world.paired(), campaign="gz-army", slot="s-army")
    assert (heard.status, heard.reason, heard.json["accepted"]) == (400, "document_type_not_accepted", "military_id")


async def test_without_the_contact_key_a_phone_is_not_written_and_without_a_phone_it_is_not_needed(
    world: CounterWorld,
) -> None:
    (world.secrets.contact_folder / f"gz-desk-{DELETION_DAY}.key").unlink()
    till = await world.paired()
    heard = await books(till, phone="13800000000")
    assert (heard.status, heard.reason) == (503, "catching_up")
    assert (await books(till)).status == 201


async def test_who_waits_hears_how_many_units_are_before(world: CounterWorld) -> None:
    full = msgspec.structs.replace(slot("s-full", hour=18, units=2), promote_until_ms=NOON_MS + 3_600_000)
    await world.applies(full, campaign="gz-wait", rules=c.CampaignRules(waiting_per_mille=5_000))
    till = await world.paired()
    heard = [await books(till, f"A000000{n}", campaign="gz-wait", slot="s-full") for n in range(3)]
    assert [(each.status, each.json["state"]) for each in heard] == [
        (201, "confirmed"), (200, "waitlisted"), (200, "waitlisted")
    ]  # fmt: skip
    assert [each.json.get("units_ahead") for each in heard] == [None, None, 2]


async def test_what_may_stand_in_the_log_is_unknown_and_the_same_key_tells(world: CounterWorld) -> None:
    till = await world.paired()
    assert (await books(till, "A0000009")).status == 201
    world.folded.reader.error = StateUnavailableError(what="TimeoutError")
    heard = await books(till, key="k")
    assert (heard.status, heard.reason) == (504, "unknown_outcome")
    world.folded.reader.error = None
    assert (await books(till, key="k")).status == 201
