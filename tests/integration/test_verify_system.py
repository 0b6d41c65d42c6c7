"""Verify on a whole system with a real broker and a real Redis: true while it is in use, and not to be fooled."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from services.audit.main import main as verify
from services.audit.report import Report
from services.audit.verify import VerifySettings
from services.domain.rows import CampaignRow, ReservationRow, SlotRow
from services.state.readers import decode_row
from tests.integration.cli_system import Up, maskline, rush, small_campaign, up
from tests.integration.tiers import Tier
from tests.real.stores import url_of

pack = msgspec.msgpack.encode

WORTH_A_LOOK = 100
"""Rows that a rush for 60 masks leaves at least; how many more depends on who was refused without a record."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of two campaigns."""
    folder = tmp_path_factory.mktemp("campaign")
    return {name: small_campaign(folder, name) for name in ("small", "later")}


@pytest.fixture(scope="module")
def system(
    tier: Tier, tmp_path_factory: pytest.TempPathFactory, files: dict[str, Path]
) -> Iterator[Up]:
    """A system with a campaign on which 150 people rushed."""
    folder = tmp_path_factory.mktemp("system")
    with up(folder / "data", *tier.options(folder / "data")) as running:
        for file in files.values():
            applied = maskline("campaign", "apply", file, "--data", running.data)
            assert applied.code == 0, applied.err
        asyncio.run(rush(running, files["small"], "small", 150))
        yield running


@pytest.fixture
def node(system: Up) -> Iterator["redis.Redis"]:
    """Whoever has the first partition."""
    client = redis.Redis.from_url(asyncio.run(url_of(system.root, 0)))
    yield client
    client.close()


def settings_of(system: Up) -> VerifySettings:
    return system.settings()


def row_of(node: "redis.Redis", key: str) -> bytes:
    value = node.get(f"{{p00}}:{key}")
    assert isinstance(value, bytes)
    return value


async def test_after_a_rush_nothing_differs(system: Up) -> None:
    report = await verify(settings_of(system))
    assert report.differences == []
    assert report.events == report.records
    assert report.rows > WORTH_A_LOOK
    assert (report.partitions, report.oversold, report.lost, report.duplicates) == (4, 0, 0, 0)


@pytest.mark.timeout(60)
async def test_during_a_rush_nothing_differs(system: Up, files: dict[str, Path]) -> None:
    rushing = asyncio.create_task(rush(system, files["later"], "later", 300, arrive_within_s=2.0))
    reports: list[Report] = []
    while not rushing.done():
        reports.append(await verify(settings_of(system)))
    tally = await rushing
    assert tally.confirmed > 0
    assert [each.differences for each in reports] == [[]] * len(reports)
    assert len({each.records for each in reports}) > 1, "it did not move while verify looked"


@pytest.mark.safety
def test_a_slot_that_somebody_changed_in_redis_is_found(system: Up, node: "redis.Redis") -> None:
    campaign: CampaignRow = decode_row("c:small", row_of(node, "c:small"))
    slot_id = decode_row(f"x:{campaign.no}:s:0", row_of(node, f"x:{campaign.no}:s:0"))[0]
    key = f"s:{campaign.no}:{slot_id}"
    before = row_of(node, key)
    slot: SlotRow = decode_row(key, before)
    node.set(f"{{p00}}:{key}", pack(msgspec.structs.replace(slot, taken=slot.quota + 7)))
    try:
        told = maskline("verify", "--data", system.data)
        as_json = maskline("verify", "--json", "--data", system.data)
    finally:
        node.set(f"{{p00}}:{key}", before)
    assert told.code == 1
    assert f"slot {slot_id}" in told.out
    assert f"expected taken {slot.taken}" in told.out
    found = json.loads(as_json.out)
    assert (as_json.code, found["verify"], found["oversold"]) == (1, "differs", 7)


@pytest.mark.control
def test_with_the_row_put_back_the_same_look_finds_nothing(system: Up) -> None:
    assert maskline("verify", "--data", system.data).code == 0


def test_a_reservation_that_disappeared_and_one_that_was_invented_are_found(system: Up, node: "redis.Redis") -> None:
    key = next(each for each in node.scan_iter("{p00}:r:*", count=1000))
    before = node.get(key)
    assert isinstance(before, bytes)
    row: ReservationRow = decode_row("r:x", before)
    node.delete(key)
    node.set("{p00}:r:" + "x" * 16, pack(row))
    try:
        told = maskline("verify", "--data", system.data)
    finally:
        node.set(key, before)
        node.delete("{p00}:r:" + "x" * 16)
    assert told.code == 1
    assert "Redis does not have this row" in told.out
    assert "Redis has a key that no command made" in told.out
    assert "2 differences." in told.out


def ledger_of(system: Up) -> str:
    """Its file."""
    return str(system.endpoints["ledger"]).removeprefix("sqlite:///")


def rows_in_ledger(system: Up) -> int:
    """How many there are."""
    with closing(sqlite3.connect(ledger_of(system))) as database:
        count: int = database.execute("SELECT count(*) FROM events").fetchone()[0]
    return count


def ledger_says(system: Up) -> dict[str, Any]:
    """What verify says when the ledger has read everything that was there."""
    deadline_s = time.monotonic() + 10.0
    while True:
        found: dict[str, Any] = json.loads(maskline("verify", "--json", "--data", system.data).out)
        if not found["ledger_behind"] or time.monotonic() > deadline_s:
            return found


@pytest.mark.safety
def test_every_event_of_a_rush_has_its_row_in_the_ledger_and_a_lost_one_is_found(system: Up) -> None:
    found = ledger_says(system)
    assert found["verify"] == "ok"
    assert found["ledger_rows"] > WORTH_A_LOOK
    with closing(sqlite3.connect(ledger_of(system))) as database, database:
        database.execute("DELETE FROM events WHERE campaign = 'small' AND type = 'confirmed'")
    lost = ledger_says(system)
    assert (lost["verify"], lost["lost"]) == ("differs", 0)
    assert {each["kind"] for each in lost["differences"]} == {"ledger"}
    rebuilt = maskline("ledger", "rebuild", "--data", system.data)
    assert rebuilt.code == 0, rebuilt.err
    assert rebuilt.out.startswith("The ledger is empty now, and is made of ")
    assert rebuilt.out.endswith("The ledger has all events of the log.\n")
    assert ledger_says(system)["verify"] == "ok"
    assert rows_in_ledger(system) >= found["ledger_rows"]
