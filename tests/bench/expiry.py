"""What one fold call takes while a day's no-shows expire and people book: nobody else is served while it lasts."""

import asyncio
import time
from collections.abc import Iterator

from msgspec.structs import replace

from services.domain.campaign_times import timed
from services.domain.commands import Command, Expire, Tick
from services.domain.days import zone
from services.domain.limits import SHEET_LINES
from services.domain.rules.answers import Fact
from services.state.fold_call import Batch, FoldCall, LogIdentity
from services.state.library import build
from services.state.records import rest_of
from services.state.redis_client import dedicated
from services.stream.genesis import read_genesis
from services.stream.partition_reader import PartitionReader
from services.stream.topics import COMMANDS
from tests.bench.all_rules import RULES, definition, opened, person, reservations, strict_campaign
from tests.bench.figure import Figure, figure
from tests.bench.folding import BATCH, FIRST, Stores, with_stores
from tests.bench.through_the_door import PLENTY, WIDE_SLOTS
from tests.bench.wishes import wide_campaign

EXPIRING = 100_000
EXPIRE_COMMANDS = BATCH // 20
"""In a batch: the clock sends 200 a second, which stand among what everybody sends."""
DAY_MS = 86_400_000
CALL_TIMEOUT_S = 10.0


class _Fold:
    """The fold call alone, one batch in flight, every call timed."""

    def __init__(self, call: FoldCall, position: int) -> None:
        self._call = call
        self._position = position
        self.now_ms = int(time.time() * 1000)
        self.took_ms: list[float] = []
        self.expired = 0

    async def fold(self, commands: list[Command]) -> None:
        """Folds all of them, in as many calls as the fold wants."""
        batch = Batch(self._position, [self.now_ms] * len(commands), [1] * len(commands), commands)
        end = batch.end
        while self._position < end:
            began_s = time.perf_counter()
            folded = await self._call.fold(batch, self._position)
            self.took_ms.append((time.perf_counter() - began_s) * 1000)
            assert folded.status == "ok", folded.status
            for facts in folded.decisions:
                if isinstance(facts, list) and facts[0][0] == Fact.EXPIRY_DONE:
                    self.expired += facts[0][1]
            self._position = folded.position
            batch = rest_of(batch, self._position)

    async def it_is(self, at_ms: int) -> None:
        """Time goes on."""
        self.now_ms = at_ms
        await self.fold([Tick(at_ms=at_ms)])


def expiry() -> list[Figure]:
    """The 99th percentile and the longest of all calls, AOF everysec."""
    took_ms = sorted(asyncio.run(with_stores(_while_everybody_expires)))
    about = f"{len(took_ms)} calls of at most {BATCH} commands, {EXPIRING} reservations expire among bookings"
    return [
        figure("fcall_p99_ms", [took_ms[len(took_ms) * 99 // 100]], "ms", about),
        figure("fcall_max_ms", [took_ms[-1]], "ms", about),
    ]


async def _while_everybody_expires(stores: Stores) -> list[float]:
    reader = PartitionReader(stores.settings, COMMANDS)
    genesis = await read_genesis(reader, FIRST)
    await reader.stop()
    identity = LogIdentity(genesis.log, genesis.key_check)
    call = FoldCall(dedicated(stores.settings.redis, timeout_s=CALL_TIMEOUT_S), build(), FIRST, identity)
    await call.load_library()
    fold = _Fold(call, 0)
    await fold.fold([genesis])
    await fold.it_is(fold.now_ms)
    for command in definition(WIDE_SLOTS, PLENTY, EXPIRING):
        await fold.fold([command])
    people = reservations(EXPIRING, WIDE_SLOTS)
    for first in range(0, EXPIRING, BATCH):
        await fold.fold(people[first : first + BATCH])
    await fold.it_is(fold.now_ms + 3 * DAY_MS)
    due = list(_no_shows())
    for command in _next_campaign(fold.now_ms, len(due) // EXPIRE_COMMANDS + 1):
        await fold.fold([command])
    fold.took_ms.clear()
    for number, first in enumerate(range(0, len(due), EXPIRE_COMMANDS)):
        later = reservations(BATCH - EXPIRE_COMMANDS, WIDE_SLOTS, first=EXPIRING + number * BATCH, campaign="next")
        await fold.fold([*due[first : first + EXPIRE_COMMANDS], *later])
        if fold.expired == EXPIRING:
            break
    assert fold.expired == EXPIRING, fold.expired
    await call.drop()
    return fold.took_ms


def _next_campaign(now_ms: int, calls: int) -> list[Command]:
    """The next round, in which people book while the first one's no-shows expire."""
    campaign = strict_campaign("next", WIDE_SLOTS, PLENTY)
    where = zone(campaign.timezone)
    slots = tuple(
        timed(replace(slot, starts_ms=now_ms + DAY_MS, ends_ms=now_ms + 2 * DAY_MS, day=slot.day + 3), RULES, where)
        for slot in campaign.slots
    )
    people = [person(EXPIRING + number) for number in range(calls * BATCH)]
    return opened(replace(campaign, slots=slots), people)


def _no_shows() -> Iterator[Command]:
    """What the clock sends for the first campaign's day, sheet by sheet; more sheets than there can be."""
    campaign = wide_campaign("fold", WIDE_SLOTS, PLENTY)
    slots_each = WIDE_SLOTS // len(campaign.pharmacies)
    sheets = slots_each * (EXPIRING // WIDE_SLOTS // SHEET_LINES + 1)
    number = 0
    for pharmacy in campaign.pharmacies:
        for sheet in range(sheets):
            number += 1
            yield Expire(
                id=f"e{number:015d}",
                region=campaign.region,
                pharmacy=pharmacy.id,
                day=campaign.slots[0].day,
                sheet=sheet,
            )
