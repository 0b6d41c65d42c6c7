"""A campaign as the commands that write it into the log: define, the tables chunk by chunk, seal.

Ids are the caller's: whoever sends the same definition again under the same key sends the same commands, and a key of
its own makes another try of it.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from typing import TypeVar

import msgspec

from services.domain.campaign import Campaign, Rules, definition_json
from services.domain.campaign_times import stagger_days
from services.domain.commands import (
    MAX_CHUNK,
    MAX_ENTITLED_CHUNK,
    AddEntitled,
    AddPharmacies,
    AddSlots,
    CampaignRules,
    ChangeRules,
    DefineCampaign,
    Pharmacy,
    SealDefinition,
    Slot,
)
from services.domain.days import LAST_MS, begins_ms, zone

MAX_CHUNK_BYTES = 128 * 1024  # half a record: long names in Chinese reach it before they are 200

DefinitionCommand = DefineCampaign | AddPharmacies | AddSlots | AddEntitled | SealDefinition
MakeId = Callable[[str], str]
"""The id of a command by its step: `define`, `pharmacies|0`, `slots|200`, `entitled|500`, `seal`."""
_Entry = TypeVar("_Entry", Pharmacy, Slot, str)


def commands_of(
    campaign: Campaign,
    of_revision: str,
    make_id: MakeId,
    *,
    entitled: Sequence[str] = (),
    actor: str = "",
    why: str = "",
) -> list[DefinitionCommand]:
    """The definition in the order in which it has to stand in the log. `entitled` are the pseudonyms of its list.

    They are sorted: their order in the file could tell who is who.
    """
    name = campaign.campaign
    part = {"campaign": name, "revision": of_revision}
    define = DefineCampaign(
        id=make_id("define"),
        campaign=name,
        region=campaign.region,
        revision=of_revision,
        units_max=campaign.rules.units_max,
        pharmacies=len(campaign.pharmacies),
        slots=len(campaign.slots),
        definition=definition_json(campaign),
        rules=campaign_rules(campaign),
        delete_ms=deletion_ms(campaign),
        actor=actor,
        why=why,
    )
    chunks: list[DefinitionCommand] = [
        AddPharmacies(id=make_id(f"pharmacies|{first}"), **part, first=first, pharmacies=chunk)
        for first, chunk in _chunks(campaign.pharmacies, MAX_CHUNK)
    ]
    chunks += [
        AddSlots(id=make_id(f"slots|{first}"), **part, first=first, slots=chunk)
        for first, chunk in _chunks(campaign.slots, MAX_CHUNK)
    ]
    chunks += [
        AddEntitled(id=make_id(f"entitled|{first}"), **part, first=first, residents=chunk)
        for first, chunk in _chunks(sorted(entitled), MAX_ENTITLED_CHUNK)
    ]
    seal = SealDefinition(id=make_id("seal"), **part, actor=actor, why=why)
    return [define, *chunks, seal]


def deletion_ms(campaign: Campaign) -> int:
    """When the deletion day begins, which is the contact key's as well; within what commands carry."""
    return min(begins_ms(date.fromisoformat(campaign.deletion_day), zone(campaign.timezone)), LAST_MS)


def change_of(
    campaign: Campaign, of_revision: str, *, before: str, command_id: str, actor: str = "", why: str = ""
) -> ChangeRules:
    """The command that gives a sealed campaign, which stands under revision `before`, the rules and texts of this."""
    return ChangeRules(
        id=command_id,
        campaign=campaign.campaign,
        before=before,
        revision=of_revision,
        units_max=campaign.rules.units_max,
        definition=definition_json(campaign),
        rules=campaign_rules(campaign),
        actor=actor,
        why=why,
    )


def campaign_rules(campaign: Campaign) -> CampaignRules:
    """The rules of a campaign as its fold gets them, besides those that stand in each slot."""
    rules: Rules = campaign.rules
    return CampaignRules(
        household_max=rules.household_max,
        cool_down=rules.cool_down_days > 0,
        entitled=rules.entitled,
        stagger=stagger_days(rules.stagger, campaign.windows, zone(campaign.timezone)),
        assisted_per_mille=rules.assisted.per_mille if rules.assisted is not None else 0,
        reserve_per_mille=rules.reserve_per_mille,
        waiting_per_mille=rules.waiting_list.per_mille if rules.waiting_list is not None else 0,
    )


def step_of(command: DefinitionCommand) -> str:
    """The step of a command in one word, for people."""
    return {
        DefineCampaign: "define",
        AddPharmacies: "pharmacies",
        AddSlots: "slots",
        AddEntitled: "entitled",
        SealDefinition: "seal",
    }[type(command)]


def entries_of(command: AddPharmacies | AddSlots | AddEntitled) -> int:
    """How many rows of its table a chunk brings."""
    if isinstance(command, AddPharmacies):
        return len(command.pharmacies)
    return len(command.slots) if isinstance(command, AddSlots) else len(command.residents)


def _chunks(entries: Sequence[_Entry], most: int) -> Iterator[tuple[int, list[_Entry]]]:
    """Pieces of at most `most` entries and MAX_CHUNK_BYTES of JSON, each with the number of entries before it."""
    chunk: list[_Entry] = []
    first = used_bytes = 0
    for index, entry in enumerate(entries):
        entry_bytes = len(msgspec.json.encode(entry)) + 1
        if chunk and (len(chunk) == most or used_bytes + entry_bytes > MAX_CHUNK_BYTES):
            yield first, chunk
            chunk, first, used_bytes = [], index, 0
        chunk.append(entry)
        used_bytes += entry_bytes
    if chunk:
        yield first, chunk
