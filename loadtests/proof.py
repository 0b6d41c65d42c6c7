"""After the rush: what the clients heard, held against the log and Redis.

Nothing here trusts the surge's own counts: units come from the slots in Redis, decisions from `verify`'s replay of the
log, and every reservation that somebody was promised is looked up by the pass number its id leads to.
"""

import asyncio
import time
from pathlib import Path
from typing import Final

import msgspec

from loadtests.tally import Tally
from services.audit.main import main as verify
from services.audit.report import Report
from services.audit.verify import VerifySettings
from services.domain.rows import CampaignRow, ReservationState
from services.platform.errors import MasklineError
from services.platform.identities import Identities
from services.platform.secrets import SECRETS, Secrets
from services.state.catalogue import Catalogue
from services.state.readers import StateReader
from services.state.redis_access import redis_address
from services.state.store import open_store
from services.stream.partition_reader import PartitionReader
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS, count_partitions

STORE_TIMEOUT_S: Final = 10.0
"""Nobody waits for a proof: a machine that has just been through a rush may take its time."""
SETTLE_TIMEOUT_S: Final = 30.0
SETTLE_LOOK_S: Final = 0.02
KEYS_PER_READ: Final = 400


class NotSettled(MasklineError):
    """{behind} commands were still not decided {seconds:g} s after the rush."""

    exit_code = 1


class CampaignGone(MasklineError):
    """Redis has no campaign {campaign} any more."""

    exit_code = 1


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What log and Redis say. `lost` and `duplicates` also count what only a client can know."""

    confirmed: int
    confirmed_units: int
    unused_units: int
    rejected: int
    oversold: int
    lost: int
    duplicates: int
    report: Report


async def settled(settings: VerifySettings, partition: int) -> int:
    """Wait until everything in the log is decided; how many records that is. Raises NotSettled."""
    log = PartitionReader(settings, COMMANDS)
    redis = open_store(redis_address(settings), timeout_s=STORE_TIMEOUT_S)
    reader = StateReader(redis)
    deadline_s = time.monotonic() + SETTLE_TIMEOUT_S
    try:
        end = await log.log_end(PartitionId(partition))
        while (position := (await reader.read(partition, [])).head.position) < end:
            if time.monotonic() > deadline_s:
                raise NotSettled(behind=end - position, seconds=SETTLE_TIMEOUT_S)
            await asyncio.sleep(SETTLE_LOOK_S)
        return position
    finally:
        await log.stop()
        await redis.aclose()


async def prove(settings: VerifySettings, campaign: str, tally: Tally) -> Proof:
    """Verify the whole system, and look up everything that the surge was promised. Raises CampaignGone."""
    partitions = await count_partitions(settings)
    redis = open_store(redis_address(settings), timeout_s=STORE_TIMEOUT_S)
    try:
        reader = StateReader(redis)
        catalogue = Catalogue(reader, partitions)
        await catalogue.refresh()
        view = catalogue.get(campaign)
        if view is None:
            raise CampaignGone(campaign=campaign)
        stock = await catalogue.stock(view)
        forgotten = await _forgotten(reader, view.partition, tally, settings.data)
    finally:
        await redis.aclose()
    report = await verify(settings)
    row: CampaignRow = view.row
    return Proof(
        confirmed=row.confirmed,
        confirmed_units=sum(slot.taken for slot in stock.values()),
        unused_units=sum(slot.quota - slot.taken for slot in stock.values()),
        rejected=row.rejected,
        oversold=max(report.oversold, sum(max(0, slot.taken - slot.quota) for slot in stock.values())),
        lost=report.lost + forgotten,
        duplicates=report.duplicates,
        report=report,
    )


async def _forgotten(reader: StateReader, partition: int, tally: Tally, data: Path) -> int:
    """Reservations that somebody was told of, and that are not there, or not as they were told."""
    identities = Identities(Secrets.load(data / SECRETS))
    told = [(f"r:{identities.pass_no(each)}", heard) for each, heard in tally.reservations.items()]
    missing = 0
    for at in range(0, len(told), KEYS_PER_READ):
        piece = told[at : at + KEYS_PER_READ]
        rows = (await reader.read(partition, [key for key, _ in piece])).rows
        for (_, heard), row in zip(piece, rows, strict=True):
            if row is None or (heard.state != "pending" and ReservationState(row.state).word != heard.state):
                missing += 1
    return missing
