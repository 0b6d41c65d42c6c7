"""The crowd of a load test behaves as people do, and counts what it hears."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from loadtests import surge as surge_module
from loadtests.http_client import NoAnswer, Response
from loadtests.surge import Surge, SurgeSettings
from loadtests.tally import Tally, percentile_ms

SLOTS = [f"s{number}" for number in range(20)]
QUICK = SurgeSettings(residents=40, arrive_within_s=0.0, give_up_after_s=5.0, wait_s=1)


class FrontDoor:
    """A front door that answers as a test says; `asked` are the bodies and keys it saw."""

    def __init__(self, answer: Callable[[int, dict[str, Any]], Response | None], later: str = "confirmed") -> None:
        self._answer = answer
        self._later = later
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.statuses: list[str] = []

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = {}, timeout_s: float = 0.0
    ) -> Response:
        await asyncio.sleep(0)
        if method == "GET":
            self.statuses.append(path)
            return answer(200, id="r1", state=self._later)
        self.asked.append((headers["Idempotency-Key"], json.loads(body)))
        found = self._answer(len(self.asked), self.asked[-1][1])
        if found is None:
            raise NoAnswer(host="here", port=1, why="silence")
        return found


def answer(status: int, retry_after: int | None = None, **body: object) -> Response:
    head = b"\r\nretry-after: %d\r\n" % retry_after if retry_after is not None else b""
    return Response(status, head, json.dumps(body).encode())


async def run(door: FrontDoor, settings: SurgeSettings = QUICK) -> Tally:
    return await Surge(door, "masks", SLOTS, settings).run()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surge_module, "UNANSWERED_PAUSE_S", 0.0)


async def test_who_gets_units_leaves_and_is_counted() -> None:
    door = FrontDoor(lambda n, _: answer(201, id=f"r{n}", state="confirmed"))
    tally = await run(door)
    assert (tally.arrived, tally.gone, tally.sent, tally.accepted, tally.confirmed) == (40, 40, 40, 40, 40)
    assert tally.confirmed_units == sum(wish["units"] for _, wish in door.asked)
    assert len(tally.latencies_s) == 40


async def test_popular_slots_are_wanted_most_and_one_to_five_units_are_asked() -> None:
    door = FrontDoor(lambda n, _: answer(201, id=f"r{n}", state="confirmed"))
    await run(door, SurgeSettings(residents=1_000, arrive_within_s=0.0))
    wanted = Counter(wish["slot"] for _, wish in door.asked)
    (_, most), (_, second) = wanted.most_common(2)
    assert most > 1.5 * second
    assert {wish["units"] for _, wish in door.asked} == {1, 2, 3, 4, 5}


async def test_who_hears_503_comes_back_with_the_same_key_and_wish() -> None:
    door = FrontDoor(
        lambda n, _: answer(503, 0, reason="overloaded") if n <= 40 else answer(201, id=f"r{n}", state="confirmed")
    )
    tally = await run(door)
    assert (tally.shed, tally.confirmed, tally.sent) == (40, 40, 80)
    first, second = door.asked[:40], door.asked[40:]
    assert sorted(first, key=str) == sorted(second, key=str)


async def test_who_hears_nothing_sends_the_same_again_and_knows_in_the_end() -> None:
    door = FrontDoor(lambda n, wish: None if n <= 40 else answer(201, id=wish["phone"], state="confirmed"))
    tally = await run(door)
    assert (tally.unanswered, tally.confirmed, tally.unknown) == (40, 40, 0)


async def test_who_never_hears_anything_counts_as_unknown() -> None:
    door = FrontDoor(lambda n, _: None if n % 2 else answer(504, reason="unknown_outcome"))
    tally = await run(door, SurgeSettings(residents=3, arrive_within_s=0.0, give_up_after_s=0.05))
    assert (tally.unknown, tally.confirmed, tally.gone) == (3, 0, 3)


async def test_who_found_a_slot_full_tries_another_one_and_then_leaves() -> None:
    def full(n: int, wish: dict[str, Any]) -> Response:
        return answer(409, id=f"r{n}", state="rejected", reason="slot_full", left=0)

    door = FrontDoor(full)
    tally = await run(door, SurgeSettings(residents=10, arrive_within_s=0.0, tries_elsewhere=2))
    assert tally.refused == {"slot_full": 30}
    assert tally.accepted == 30
    slots_of_one = [wish["slot"] for key, wish in door.asked if key.startswith("surge-0-")]
    assert len(set(slots_of_one)) >= 2


async def test_who_finds_a_few_left_takes_them() -> None:
    def two_left(n: int, wish: dict[str, Any]) -> Response:
        if wish["units"] <= 2:
            return answer(201, id=f"r{n}", state="confirmed")
        return answer(409, id=f"r{n}", state="rejected", reason="slot_full", left=2)

    tally = await run(FrontDoor(two_left))
    assert tally.confirmed == 40


async def test_who_hears_sold_out_leaves() -> None:
    door = FrontDoor(lambda n, _: answer(409, id=f"r{n}", state="rejected", reason="sold_out"))
    tally = await run(door)
    assert (tally.sent, tally.refused) == (40, {"sold_out": 40})


async def test_who_hears_sold_out_before_the_log_leaves_too_and_has_no_reservation() -> None:
    tally = await run(FrontDoor(lambda *_: answer(409, reason="sold_out")))
    assert (tally.sent, tally.gone, tally.refused_before_log) == (40, 40, {"sold_out": 40})
    assert (tally.accepted, tally.rejected, tally.unexpected, tally.unknown) == (0, 0, {}, 0)


async def test_a_refusal_that_hangs_on_who_asks_needs_a_reservation() -> None:
    tally = await run(FrontDoor(lambda *_: answer(409, reason="already_booked")))
    assert (tally.refused_before_log, tally.unexpected) == ({}, {"409 already_booked": 40})


async def test_who_is_told_to_wait_asks_at_the_signed_place() -> None:
    door = FrontDoor(lambda n, _: answer(202, id=f"r{n}", state="pending", status_url=f"/v1/reservations/r{n}?place=7"))
    tally = await run(door, SurgeSettings(residents=2, arrive_within_s=0.0))
    assert tally.confirmed == 2
    assert sorted(door.statuses) == ["/v1/reservations/r1?place=7&wait=10", "/v1/reservations/r2?place=7&wait=10"]


@pytest.mark.parametrize("is_told_at_once", [True, False])
async def test_who_is_put_on_a_waiting_list_has_heard_and_leaves(is_told_at_once: bool) -> None:
    def waiting(n: int, _: dict[str, Any]) -> Response:
        if is_told_at_once:
            return answer(200, id=f"r{n}", state="waitlisted")
        return answer(202, id=f"r{n}", state="pending", status_url=f"/v1/reservations/r{n}?place=7")

    door = FrontDoor(waiting, later="waitlisted")
    tally = await run(door, SurgeSettings(residents=3, arrive_within_s=0.0, give_up_after_s=1.0))
    assert (tally.waitlisted, tally.unknown, tally.confirmed, tally.rejected) == (3, 0, 0, 0)
    assert (tally.sent, tally.gone, len(tally.latencies_s)) == (3, 3, 3)


async def test_an_answer_outside_the_contract_is_counted_as_such() -> None:
    door = FrontDoor(lambda *_: answer(400, reason="malformed"))
    assert (await run(door)).unexpected == {"400 malformed": 40}


def test_percentiles_are_the_nearest_rank() -> None:
    assert percentile_ms([], 0.5) == 0
    assert percentile_ms([0.001 * n for n in range(1, 101)], 0.5) == 50
    assert percentile_ms([0.001 * n for n in range(1, 101)], 0.99) == 99
    assert percentile_ms([0.003], 0.99) == 3
