"""What the console shows of now, and of who did what: both come from log and state, and are bounded."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from services.console import audit_trail
from services.console.users import Role
from services.domain import commands as c
from services.state.errors import StateUnavailableError
from tests import builders as b
from tests.unit.campaign_documents import RIGHT, checked
from tests.unit.console_world import ADMIN_TOKEN, ConsoleWorld, console, installation
from tests.unit.front_door_world import now_ms, tomorrow

NAME = "gz-2020-02"
CAMPAIGN = checked(dict(RIGHT))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installation(tmp_path_factory.mktemp("installation"))


@pytest.fixture
async def world(data: Path, tmp_path: Path) -> AsyncIterator[ConsoleWorld]:
    async with console(data, tmp_path, max_watchers=3) as world:
        await world.give(CAMPAIGN)
        yield world


def ticks(world: ConsoleWorld, count: int) -> None:
    world.system.write(0, *[c.Tick(at_ms=at) for at in range(count)])


async def trail(world: ConsoleWorld, query: str = "") -> Any:
    answer = await world.get(f"/v1/audit?{query}")
    assert answer.status == 200
    return answer.json


# -- the audit trail ---------------------------------------------------------------------------------------------------


async def test_the_audit_trail_tells_who_did_what_when_why_and_what_came_of_it(world: ConsoleWorld) -> None:
    token = await world.sign_in(Role.OPERATOR)
    await world.post(f"/v1/campaigns/{NAME}/open", {"why": "it is time"}, token=token)
    await world.post(f"/v1/campaigns/{NAME}/resume", {"why": "a slip"}, token=token)
    entries = (await trail(world, "limit=2"))["entries"]
    told = [(one["command"], one["actor"], one["why"], one["outcome"], one.get("reason")) for one in entries]
    assert told == [
        ("resume", "user:olga", "a slip", "refused", "wrong_phase"),
        ("open", "user:olga", "it is time", "opened", None),
    ]
    assert entries[0]["campaign"] == NAME
    assert entries[0]["offset"] > entries[1]["offset"]


async def test_what_was_sent_again_is_not_told_as_if_it_had_been_done_twice(world: ConsoleWorld) -> None:
    for _ in range(2):
        await world.post(f"/v1/campaigns/{NAME}/slots/s-1/quota", {"change": 50, "why": "a delivery"}, key="again")
    entries = (await trail(world, "limit=2"))["entries"]
    assert [(one["change"], one["outcome"]) for one in entries] == [(50, "repeated"), (50, "quota_changed")]


async def test_bookings_and_ticks_are_no_part_of_it_and_secrets_never(world: ConsoleWorld) -> None:
    invited = await world.post("/v1/terminals", {"pharmacy": "p-1", "terminal": "till-1", "why": "x"})
    (command,) = world.system.every(c.InviteTerminal)
    pair = c.PairTerminal(id="p" * 16, code_digest=command.code_digest, token_digest="t" * 16)
    world.system.write(0, pair, c.Reserve(campaign=NAME, slot="s-1", units=1, resident="r" * 16, pass_no="p" * 16,
                                          digest="d" * 8, last4_hash="h" * 8), c.Tick(at_ms=5))  # fmt: skip
    answer = await world.get("/v1/audit")
    words = [one["command"] for one in answer.json["entries"]]
    assert words == ["pair_terminal", "invite_terminal", "seal_definition", "define_campaign", "assign_region"]
    assert answer.json["entries"][0]["terminal"] == "till-1"
    for secret in (invited.json["pairing_code"], command.code_digest, "t" * 16, "r" * 16):
        assert secret not in answer.text


async def test_a_long_log_is_read_in_bounded_pieces_that_miss_nothing(
    world: ConsoleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_trail, "RECORDS_A_PIECE", 7)
    monkeypatch.setattr(audit_trail, "MAX_PIECES", 3)
    for number in range(5):
        ticks(world, 11)
        await world.post(f"/v1/campaigns/{NAME}/open", {"why": f"no {number}"})
    found, before, answers = [], "", 0
    while answers < 50:
        page = await trail(world, f"limit=2{before}")
        assert len(page["entries"]) <= 2
        found += [one["why"] for one in page["entries"] if one["command"] == "open"]
        answers += 1
        if page["before"] is None:
            break
        before = f"&before={page['before']}"
    assert found == ["no 4", "no 3", "no 2", "no 1", "no 0"]
    assert answers >= 4


@pytest.mark.parametrize("query", ["partition=2", "partition=-1", "limit=0", "limit=501", "before=x", "limit=²"])
async def test_what_cannot_be_asked_is_400(world: ConsoleWorld, query: str) -> None:
    answer = await world.get(f"/v1/audit?{query}")
    assert (answer.status, answer.reason) == (400, "malformed")


async def test_a_partition_of_its_own_has_a_trail_of_its_own(world: ConsoleWorld) -> None:
    assert (await trail(world, "partition=1"))["entries"] == []
    assert (await trail(world, "partition=0&before=0"))["entries"] == []
    assert (await trail(world, "partition=0&before=999999"))["entries"] != []


# -- the live view -----------------------------------------------------------------------------------------------------


async def events(world: ConsoleWorld, count: int) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    found: list[dict[str, Any]] = []
    async with world.client.get(f"{world.url}/v1/live", headers=headers) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        while len(found) < count:
            line = await answer.content.readline()
            if line.startswith(b"data: "):
                found.append(msgspec.json.decode(line[6:]))
    return found


async def test_one_look_tells_every_partition_and_campaign(world: ConsoleWorld) -> None:
    end = 1 + len(world.system.commands(0))
    world.system.reader.held = True
    ticks(world, 4)
    now = (await world.get("/v1/live/now")).json
    lines = [(one["position"], one["log_end"], one["lag"]) for one in now["partitions"]]
    assert lines == [(end, end + 4, 4), (1, 1, 0)]
    (campaign,) = now["campaigns"]
    assert (campaign["campaign"], campaign["phase"], campaign["units_left"]) == (NAME, "scheduled", 150)


async def test_what_cannot_be_looked_at_is_null_and_never_old(world: ConsoleWorld) -> None:
    world.system.reader.error = StateUnavailableError(what="the test says so")
    now = (await world.get("/v1/live/now")).json
    assert now["partitions"][0]["position"] is None
    assert now["partitions"][0]["lag"] is None
    assert now["partitions"][0]["log_end"] > 0


async def test_a_watcher_hears_once_a_second(world: ConsoleWorld) -> None:
    world.parts.live._interval_s = 0.02
    first, second, third = await events(world, 3)
    assert first["campaigns"][0]["phase"] == "scheduled"
    assert first["at"] <= second["at"] <= third["at"]


async def test_one_look_serves_all_who_watch_and_none_looks_when_nobody_does(world: ConsoleWorld) -> None:
    world.parts.live._interval_s = 0.02
    before = world.system.reader.reads
    await asyncio.gather(*(events(world, 10) for _ in range(3)))
    looks = (world.system.reader.reads - before) / world.system.partitions
    assert looks <= 25
    await asyncio.sleep(0.1)
    before = world.system.reader.reads
    await asyncio.sleep(0.1)
    assert world.system.reader.reads == before


async def test_more_watchers_than_allowed_are_refused(world: ConsoleWorld) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    open_streams = [await world.client.get(f"{world.url}/v1/live", headers=headers) for _ in range(3)]
    answer = await world.get("/v1/live")
    assert (answer.status, answer.reason) == (503, "overloaded")
    for stream in open_streams:
        stream.close()


async def test_a_stop_ends_the_streams(world: ConsoleWorld) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with world.client.get(f"{world.url}/v1/live", headers=headers) as answer:
        assert await answer.content.readline()
        world.parts.live.close()
        async with asyncio.timeout(2):
            try:
                rest = await answer.content.read()
            except aiohttp.ClientPayloadError:
                rest = b""
        assert isinstance(rest, bytes)


async def test_waiting_lists_are_told_in_numbers(world: ConsoleWorld) -> None:
    waits = tomorrow("waits", 2, waiting_list={"per_mille": 2_000, "promote_until_h": 1})
    await world.give(waits)
    first, second, third = (b.reserve(who, "s-1", 2, campaign="waits") for who in ("anna", "bo", "cy"))
    opening = c.Open(id="open-for-waiting", campaign="waits")
    world.system.write(0, opening, first, second, third, b.cancel(first), at_ms=now_ms())
    await world.system.door.refresh_once()
    (told,) = [one for one in (await world.get("/v1/campaigns")).json["campaigns"] if one["campaign"] == "waits"]
    assert (told["confirmed"], told["waitlisted"], told["promoted"], told["cancelled"]) == (1, 2, 1, 1)
    live = (await world.parts.live.now()).campaigns
    assert [(one.campaign, one.waitlisted, one.promoted) for one in live] == [("gz-2020-02", 0, 0), ("waits", 2, 1)]
    (slot,) = (await world.get("/v1/campaigns/waits/slots")).json["slots"]
    assert (slot["taken"], slot["left"], slot["waiting"]) == (2, 0, 2)
