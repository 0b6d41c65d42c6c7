"""The deletion day on a running system: clocks find what is left of people, and nothing in Redis tells of them."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from msgspec.structs import replace

from services.audit.main import main as verify
from services.audit.verify import VerifySettings
from services.domain import commands as c
from tests import builders as b
from tests.integration.console_system import Ops, running_ops, windowed
from tests.integration.tiers import Tier, reached
from tests.real.stores import everything_in
from tests.unit.campaign_documents import written

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

NAME, SLOT, PHARMACY = "deleted", "s-1", "p-1"
DELETED_AFTER_MS = 12_000
COOLS_FOR_MS = 16_000
GONE_WITHIN_S = 40.0
PEOPLE = 40


@pytest.fixture(scope="module")
def ops(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ops]:
    with running_ops(tier, tmp_path_factory.mktemp("deletion")) as ops:
        yield ops


def campaign(now_ms: int) -> list[c.Command]:
    """Of every rule that keeps something of people, as the console writes it but for its deletion day: in seconds."""
    define, pharmacies, slots, seal = written(windowed(NAME, (-60, 600)))
    assert isinstance(define, c.DefineCampaign)
    assert isinstance(slots, c.AddSlots)
    rules = c.CampaignRules(household_max=9, cool_down=True, entitled=PEOPLE + 1)
    who = ["live", *(f"somebody {n}" for n in range(PEOPLE))]
    about: dict[str, Any] = {"campaign": NAME, "revision": define.revision}
    entitled = [b.digest("resident", each) for each in who]
    return [
        replace(define, rules=rules, delete_ms=now_ms + DELETED_AFTER_MS),
        pharmacies,
        replace(slots, slots=[replace(slot, cool_until_ms=now_ms + COOLS_FOR_MS) for slot in slots.slots]),
        c.AddEntitled(id=b.digest("list"), first=0, residents=entitled, **about),
        seal,
        b.open_(campaign=NAME),
        b.invite(pharmacy=PHARMACY, expires_ms=now_ms + b.DAY_MS),
        b.pair(),
    ]


def what_stands_in_redis(ops: Ops, bookings: list[c.Reserve]) -> list[str]:
    """Keys under which, or in which, a pseudonym, a phone or a pass number of these bookings stands."""
    names = [name.encode() for each in bookings for name in (each.resident, each.pass_no, each.phone_pseudonym)]
    found = asyncio.run(everything_in(ops.system.stores.root))
    texts = {key: key + b"\n" + value for key, value in found.items()}
    return [key.decode() for key, text in texts.items() if any(name in text for name in names)]


def test_from_the_deletion_day_on_redis_tells_nothing_of_people_and_verify_agrees(ops: Ops) -> None:
    now_ms = int(time.time() * 1000)
    people = [b.reserve(f"somebody {n}", SLOT, campaign=NAME, phone=f"phone {n % 9}") for n in range(PEOPLE)]
    live = b.reserve("live", "s-2", campaign=NAME)
    too_many = [replace(each, units=9, pass_no=b.digest("again", each.pass_no)) for each in people[:5]]
    came, gave_back = people[: PEOPLE // 2], people[PEOPLE // 2 :]
    ops.system.write(
        0, *campaign(now_ms), *people, live, *too_many, *map(b.pick_up, came), *map(b.cancel, gave_back)
    )
    before = what_stands_in_redis(ops, people)
    while len({key.split(":")[1] for key in before} & set("rpehms")) < 6:
        assert time.time() * 1000 < now_ms + DELETED_AFTER_MS, f"only {before} before the day has come"
        time.sleep(0.1)
        before = what_stands_in_redis(ops, people)
    with ExitStack() as stack:
        ops.clock(stack)
        ops.clock(stack, "twin")
        deadline_s = time.monotonic() + GONE_WITHIN_S
        while left := what_stands_in_redis(ops, [*people, *too_many]):
            assert time.monotonic() < deadline_s, f"{len(left)} rows still tell of somebody, such as {left[:3]}"
            time.sleep(0.2)
        assert int(time.time() * 1000) >= now_ms + COOLS_FOR_MS, "a cool-down was forgotten before it was over"
    assert f"{{p00}}:r:{live.pass_no}" in what_stands_in_redis(ops, [live])
    report = asyncio.run(verify(VerifySettings(**reached(ops.system.stores, "audit"), data=ops.system.data)))
    assert (report.verify, report.lost, report.differences) == ("ok", 0, [])
    _, told = ops.asks("GET", f"/v1/campaigns/{NAME}")
    assert told["numbers"]["picked_up"] == len(came), "counts stay"
