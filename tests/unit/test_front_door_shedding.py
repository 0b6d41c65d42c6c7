"""More than a front door can take in is refused at once and cheaply, with a time to come back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from services.front_door.refusals import RETRY_AFTER_S, busy
from services.front_door.shedding import SheddingSettings
from services.platform.metrics import REFUSED_BEFORE_LOG
from tests.unit.front_door_browser import FORM, send_form
from tests.unit.front_door_world import CAMPAIGN, Heard, World, campaign, documents, front_door

LIMIT = 5
PASSPORTS = documents()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    limits = SheddingSettings(max_in_flight_bookings=LIMIT, max_in_flight_changes=1)
    async with front_door(tmp_path, limits) as world:
        yield world


async def test_beyond_the_limit_a_booking_is_refused_and_not_written(world: World) -> None:
    world.producer.delay_s = 0.3
    end = world.end()
    answers = await asyncio.gather(
        *(world.book(document_type="passport", document=f"E00000{n}") for n in range(100, 120))
    )
    refused = [heard for heard in answers if heard.status == 503]
    assert {heard.reason for heard in refused} == {"overloaded"}
    assert {int(heard.headers["Retry-After"]) for heard in refused} <= set(RETRY_AFTER_S)
    assert len(answers) - len(refused) == LIMIT
    assert world.end() == end + LIMIT


async def test_a_full_house_refuses_before_it_reads_the_body(world: World) -> None:
    world.producer.delay_s = 0.5
    booked = [asyncio.create_task(world.book(document_type="passport", document=f"E00000{n}")) for n in range(100, 105)]
    await asyncio.sleep(0.2)
    heard = await world.ask("POST", "/v1/reservations", data=b"no json at all", headers={"Idempotency-Key": "k"})
    assert (heard.status, heard.reason) == (503, "overloaded")
    assert {answer.status for answer in await asyncio.gather(*booked)} == {202}


async def test_after_the_rush_bookings_are_taken_again(world: World) -> None:
    world.producer.delay_s = 0.1
    await asyncio.gather(*(world.book() for _ in range(10)))
    assert (await world.book()).status == 202


async def test_cancelling_has_a_reserve_of_its_own(world: World) -> None:
    heard = await world.book()
    world.model.fold()
    world.producer.delay_s = 0.3
    rush = [asyncio.create_task(world.book(document_type="passport", document=f"E00000{n}")) for n in range(100, 110)]
    await asyncio.sleep(0.05)
    assert (await world.ask("DELETE", f"/v1/reservations/{heard.json['id']}")).status == 202
    await asyncio.gather(*rush)


async def test_changes_share_the_reserve_of_cancels(world: World) -> None:
    heard = await world.book()
    world.model.fold()
    world.producer.delay_s = 0.3
    path, end = f"/v1/reservations/{heard.json['id']}", world.end()

    async def change(number: int) -> Heard:
        return await world.ask("PATCH", path, json={"slot": "s-2"}, headers={"Idempotency-Key": f"k-{number}"})

    answers = await asyncio.gather(*(change(number) for number in range(5)))
    assert sorted(answer.status for answer in answers) == [202, 503, 503, 503, 503]
    refused = [answer for answer in answers if answer.status == 503]
    assert {answer.reason for answer in refused} == {"overloaded"}
    assert all(int(answer.headers["Retry-After"]) in RETRY_AFTER_S for answer in refused)
    assert world.end() == end + 1


async def test_who_cannot_be_held_for_a_decision_gets_the_place_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.front_door.standing.MAX_WAITING", 0)
    heard = await asyncio.wait_for(world.book(prefer="wait=30"), timeout=2)
    assert heard.status == 202
    told = await asyncio.wait_for(world.ask("GET", f"{heard.json['status_url']}&wait=30"), timeout=2)
    assert told.json["state"] == "pending"
    for answer in (heard, told):
        assert int(answer.headers["Retry-After"]) in RETRY_AFTER_S


async def test_who_was_held_to_the_end_or_did_not_ask_for_it_may_ask_again_at_once(world: World) -> None:
    waited = await world.book(prefer="wait=1")
    url = waited.json["status_url"]
    for answer in (waited, await world.book(), await world.ask("GET", url), await world.ask("GET", f"{url}&wait=1")):
        assert answer.json["state"] == "pending"
        assert "Retry-After" not in answer.headers


async def test_while_redis_does_not_tell_who_waits_hears_when_to_ask_again(world: World) -> None:
    booked = await world.book()
    world.model.fold()
    world.model.is_down = True
    heard = await asyncio.wait_for(world.book(prefer="wait=30", document="110101199003077053"), timeout=2)
    assert heard.status == 202
    assert int(heard.headers["Retry-After"]) in RETRY_AFTER_S
    world.model.is_down = False
    async with world.folding():
        cancelled = await world.ask("DELETE", f"/v1/reservations/{booked.json['id']}?wait=5")
    assert cancelled.status == 200
    assert "Retry-After" not in cancelled.headers


# -- as much as the log and the fold can do ---------------------------------------------------------------------------


async def rush(world: World, people: int = 40, campaign: str = CAMPAIGN) -> list[Heard]:
    """Different people at once."""
    asked = {"document_type": "passport", "campaign": campaign}
    return list(await asyncio.gather(*(world.book(document=next(PASSPORTS), **asked) for _ in range(people))))


def statuses(answers: list[Heard]) -> set[int]:
    return {heard.status for heard in answers}


async def test_while_acknowledgements_are_late_fewer_are_taken_at_once(tmp_path: Path) -> None:
    limits = SheddingSettings(max_in_flight_bookings=40, least_in_flight_bookings=4, ack_target_s=0.05)
    async with front_door(tmp_path, limits) as world:
        assert statuses(await rush(world)) == {202}
        world.producer.delay_s = 0.2
        for _ in range(4):
            await rush(world)
        answers = await rush(world)
        assert len([heard for heard in answers if heard.status == 202]) <= 8
        assert {heard.reason for heard in answers if heard.status == 503} == {"overloaded"}
        world.producer.delay_s = 0.0
        async with asyncio.timeout(10):
            while statuses(await rush(world)) != {202}:
                pass


async def test_what_is_not_known_in_time_counts_as_late(tmp_path: Path) -> None:
    limits = SheddingSettings(max_in_flight_bookings=40, least_in_flight_bookings=4, ack_target_s=0.001)
    async with front_door(tmp_path, limits) as world:
        world.producer.fails_after_writing = True
        world.producer.delay_s = 0.05
        assert 504 in statuses(await rush(world))
        world.producer.fails_after_writing = False
        assert 503 in statuses(await rush(world))


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[World]:
    """A front door whose fold stands still, with a second region."""
    limits = SheddingSettings(max_undecided=20, least_undecided=10)
    async with front_door(tmp_path, limits) as world:
        other = msgspec.structs.replace(campaign("elsewhere"), region="elsewhere")
        await world.apply(other, partition=1)
        yield world


async def test_where_nothing_is_decided_the_log_takes_a_bounded_number_and_then_nobody_is_let_in(
    behind: World,
) -> None:
    end = behind.end()
    for _ in range(3):
        await rush(behind, 20)
    assert behind.end() - end <= 40  # those who came at once are let in before anything is known of them
    answers = await rush(behind)
    assert {heard.reason for heard in answers} == {"overloaded"}
    assert await folded(behind) == {202}


async def test_a_fold_that_stands_still_is_no_business_of_another_region(behind: World) -> None:
    for _ in range(3):
        await rush(behind, 20)
    assert statuses(await rush(behind, 5)) == {503}
    assert statuses(await rush(behind, 5, "elsewhere")) == {202}


async def test_cancels_are_taken_while_no_bookings_are(behind: World) -> None:
    booked = await behind.book()
    behind.model.fold()
    for _ in range(3):
        await rush(behind, 20)
    assert statuses(await rush(behind, 5)) == {503}
    assert (await behind.ask("DELETE", f"/v1/reservations/{booked.json['id']}")).status == 202


async def test_where_no_region_has_room_the_body_is_not_read(behind: World) -> None:
    for name in (CAMPAIGN, "elsewhere"):
        for _ in range(3):
            await rush(behind, 20, name)
    heard = await behind.ask("POST", "/v1/reservations", data=b"no json at all", headers={"Idempotency-Key": "k"})
    assert (heard.status, heard.reason) == (503, "overloaded")


async def folded(world: World) -> set[int]:
    """What is heard once all is decided, and the door has seen it."""
    world.model.fold()
    async with asyncio.timeout(5):
        while 503 in statuses(answers := await rush(world, 2)):
            await asyncio.sleep(0.02)
    return statuses(answers)


def test_a_refusal_is_made_once_and_sent_again() -> None:
    assert len({id(busy("en")) for _ in range(100)}) == len(RETRY_AFTER_S)


# -- in the numbers -----------------------------------------------------------------------------------------------


def refused(reason: str) -> int:
    return REFUSED_BEFORE_LOG.counts[reason,]


NOT_WRITTEN = [
    ({"units": "5"}, "malformed"),
    ({"document": "110105194912310021"}, "document_invalid"),
    ({"phone": "110"}, "phone_invalid"),
    ({"campaign": "nowhere"}, "unknown_campaign"),
    ({"slot": "s-9"}, "unknown_slot"),
    ({"document_type": "military_id"}, "document_type_not_accepted"),
]


@pytest.mark.parametrize(("change", "reason"), NOT_WRITTEN, ids=str)
async def test_every_booking_that_is_refused_without_a_record_is_counted(
    world: World, change: dict[str, object], reason: str
) -> None:
    before = refused(reason)
    assert (await world.book(**change)).reason == reason
    assert refused(reason) == before + 1


async def test_what_the_fold_refuses_or_nobody_knows_is_not_counted_as_refused_before_the_log(world: World) -> None:
    before = dict(REFUSED_BEFORE_LOG.counts)
    async with world.folding():
        assert (await world.book(prefer="wait=5", units=6)).reason == "units_over_limit"
    world.producer.fails_after_writing = True
    assert (await world.book()).reason == "unknown_outcome"
    assert before == REFUSED_BEFORE_LOG.counts


async def test_cancels_and_forms_are_counted_like_bookings(world: World) -> None:
    booked = await world.book()
    world.model.fold()
    before = refused("log_unavailable"), refused("unknown_reservation"), refused("malformed")
    await world.ask("DELETE", f"/v1/reservations/00{'x' * 22}")
    await world.ask("POST", FORM, data=b"nonce=short")
    world.producer.is_down = True
    for heard in (await world.book(), await world.ask("DELETE", f"/v1/reservations/{booked.json['id']}")):
        assert heard.reason == "log_unavailable"
    assert (await send_form(world)).status == 503
    after = refused("log_unavailable"), refused("unknown_reservation"), refused("malformed")
    assert [now - then for now, then in zip(after, before, strict=True)] == [3, 1, 1]
