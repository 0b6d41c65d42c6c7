"""After a run: what the crowd heard, held against the log, Redis and `maskline verify`."""

from typing import Final

from loadtests.crowd.notes import Notes
from loadtests.proof import prove
from loadtests.scenarios.outcome import Truth
from loadtests.tally import Heard, Tally
from services.audit.verify import VerifySettings
from services.domain.campaign import Campaign
from services.domain.commands import Reserve, decode
from services.platform.identities import Identities
from services.platform.secrets import SECRETS, Secrets
from services.stream.partition_reader import PartitionReader, records_between
from services.stream.place import PartitionId
from services.stream.topics import COMMANDS

_TOLD: Final = {"confirmed", "rejected", "waitlisted"}


async def truth(settings: VerifySettings, campaign: Campaign, partition: int, notes: list[Notes]) -> Truth:
    """Once everything is decided. Raises what verify raises."""
    tally = Tally()
    for wish in (wish for each in notes for wish in each.wishes):
        if wish.id:
            tally.reservations[wish.id] = Heard(wish.state if wish.state in _TOLD else "pending", wish.slot, wish.units)
    proof = await prove(settings, campaign.campaign, tally)
    return Truth(
        units=campaign.units,
        confirmed=proof.confirmed,
        confirmed_units=proof.confirmed_units,
        unused_units=proof.unused_units,
        rejected=proof.rejected,
        oversold=proof.oversold,
        lost=proof.lost,
        duplicates=proof.duplicates,
        ghosts=await _ghosts(settings, campaign.campaign, partition, notes),
        differences=[str(each) for each in proof.report.differences],
    )


async def _ghosts(settings: VerifySettings, campaign: str, partition: int, notes: list[Notes]) -> int:
    """Records of bookings that no wish of the crowd stands behind, by id or as one whose fate it does not know."""
    identities = Identities(Secrets.load(settings.data / SECRETS))
    told = {identities.pass_no(wish.id) for each in notes for wish in each.wishes if wish.id}
    unknown = sum(not wish.id for each in notes for wish in each.wishes)
    log = PartitionReader(settings, COMMANDS)
    found: set[str] = set()
    try:
        await log.assign([PartitionId(partition)])
        end = int(await log.log_end(PartitionId(partition)))
        async for records in records_between(log, PartitionId(partition), 0, end):
            commands = (decode(record.value) for record in records)
            found |= {each.pass_no for each in commands if isinstance(each, Reserve) and each.campaign == campaign}
    finally:
        await log.stop()
    return max(0, len(found - told) - unknown)
