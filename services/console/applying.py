"""Applying a campaign: its document becomes commands in the log, one chunk after the other, until it is sealed.

    assign_region (partition 0) → define → pharmacies … → slots … → entitled … → seal → the openings that are due

Every command's id is made of the apply's `Idempotency-Key` and its step: a repeat with the same key gets the first
answers and goes on where it stopped, and another key is another try, for a refusal is remembered for ever under its id.
A campaign that is sealed with the same content answers `unchanged`, whoever sealed it. One that is sealed with other
content gets its rules and texts changed, if nothing else differs. Of those who are entitled only pseudonyms come this
far.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Final, NamedTuple

from msgspec.structs import replace

from services.console.amending import Amending
from services.console.contract import Applied, Outlook
from services.console.desk import OpsDesk, phase_word, refuse
from services.domain.campaign import Campaign, revision
from services.domain.campaign_commands import DefinitionCommand, change_of, commands_of, entries_of, step_of
from services.domain.commands import (
    AddEntitled,
    AddPharmacies,
    AddSlots,
    AssignRegion,
    DefineCampaign,
    SealDefinition,
    SetValve,
)
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import CampaignRow, Phase
from services.domain.rules.answers import Fact
from services.domain.schedule import due
from services.platform.contact import ContactKeys
from services.platform.identities import Identities
from services.platform.problems import Problem
from services.state.desk import Decision
from services.state.door import Door
from services.stream.errors import LogUnavailable, Overloaded, StreamError

MAX_APPLYING: Final = 4
"""Documents of up to 16 MiB that may be held at once."""

Tell = Callable[[str, int, int], Awaitable[None]]
"""Told after each step: its name, commands done, commands in all."""


class Order(NamedTuple):
    """Who applies what, and why. `key` is the `Idempotency-Key`."""

    campaign: Campaign  # without the documents of those who are entitled
    entitled: list[str]  # their pseudonyms
    revision: str
    actor: str
    why: str
    key: str


def order(campaign: Campaign, resident: Callable[[str, str], str], *, actor: str, why: str, key: str) -> Order:
    """An order with its revision; from here on nobody has the documents of the entitled. 20,000 slots take 20 ms."""
    entitled = [resident(one.document_type, one.document_number) for one in campaign.entitled]
    return Order(replace(campaign, entitled=()), entitled, revision(campaign, entitled), actor, why, key)


class Applying:
    """Applies campaigns, one at a time."""

    def __init__(
        self,
        desk: OpsDesk,
        identities: Identities,
        contact_keys: ContactKeys,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        self._desk = desk
        self._identities = identities
        self._contact_keys = contact_keys
        self._now_ms = now_ms
        self._amending = Amending(desk, now_ms)
        self._one_at_a_time = asyncio.Lock()

    @property
    def _door(self) -> Door:
        return self._desk.door

    def order(self, campaign: Campaign, *, actor: str, why: str, key: str) -> Order:
        """An order for this system."""
        return order(campaign, self._identities.resident, actor=actor, why=why, key=key)

    # -- looking -----------------------------------------------------------------------------------------------------

    async def outlook(self, wish: Order) -> Outlook:
        """What `apply` would do, without doing it."""
        campaign = wish.campaign
        owner, partition = await self._assigned(campaign)
        row = None if partition is None else await self._row(partition, campaign.campaign)
        differs: list[str] = []
        change = "new"
        if owner not in (None, campaign.region):
            change, differs = "refused", [f"region: this name belongs to a campaign of {owner}"]
        elif row is not None and row.phase == Phase.DRAFT:
            change = "unfinished"
        elif row is not None and row.revision == wish.revision:
            change = "unchanged"
        elif row is not None:
            _, found = await self._amending.look(campaign, wish.entitled)
            change, differs = ("refused", found.refused) if found.refused else ("changes", found.changes)
        opened = sum(1 if one.opens else -1 for one in due(campaign.windows, self._now_ms()))
        writes = change in ("new", "unfinished")
        return Outlook(
            campaign=campaign.campaign,
            region=campaign.region,
            revision=wish.revision,
            change=change,  # type: ignore[arg-type]  # one of its words
            partition=partition,
            pharmacies=len(campaign.pharmacies),
            slots=len(campaign.slots),
            units=campaign.units,
            commands=len(self._commands(wish)) if writes else int(change == "changes"),
            would_open=opened > 0 and writes,
            differs=differs,
        )

    async def _assigned(self, campaign: Campaign) -> tuple[str | None, int | None]:
        """The region that has the campaign's name, and the partition that the campaign's region has, if any."""
        owner, partition = await self._desk.read(0, [f"gn:{campaign.campaign}", f"g:{campaign.region}"])
        return owner, partition

    async def _row(self, partition: int, name: str) -> CampaignRow | None:
        row: CampaignRow | None = (await self._desk.read(partition, [f"c:{name}"]))[0]
        return row

    # -- doing -------------------------------------------------------------------------------------------------------

    async def apply(self, wish: Order, tell: Tell) -> Applied:
        """Have the campaign sealed, and open if it is to be open now. Raises Problem; the same key goes on."""
        async with self._one_at_a_time:
            name = wish.campaign.campaign
            partition = await self._assign(wish)
            row = await self._row(partition, name)
            if row is not None and row.phase != Phase.DRAFT and row.revision != wish.revision:
                change = await self._change(wish, partition, tell)
            else:
                await asyncio.to_thread(self._contact_keys.create, name, date.fromisoformat(wish.campaign.deletion_day))
                is_new = row is None or row.phase == Phase.DRAFT
                change = await (self._define(wish, partition, tell) if is_new else self._who_wrote(wish, partition))
                await self._set_valve(wish, partition)
            if change != "changed":  # of windows only what is still to come has changed
                await self._open_if_due(wish, partition)
            await self._door.refresh_once()
            return await self._applied(wish, partition, change)

    async def _assign(self, wish: Order) -> int:
        """The partition of the campaign's region; the fold of partition 0 gives it one at its first campaign."""
        campaign = wish.campaign
        owner, partition = await self._assigned(campaign)
        if owner == campaign.region and partition is not None:
            return partition
        command = AssignRegion(
            id=self._command_id(wish, f"assign|{campaign.region}"),
            region=campaign.region,
            campaign=campaign.campaign,
            partitions=self._door.partitions,
            actor=wish.actor,
            why=wish.why,
        )
        return int((await self._desk.done(0, command)).fact[1])

    async def _define(self, wish: Order, partition: int, tell: Tell) -> str:
        """Every command of the definition that is missing, in order. `created`, or `unchanged` where others did it."""
        name = wish.campaign.campaign
        commands = await asyncio.to_thread(self._commands, wish)
        decision = await self._desk.decide(partition, commands[0])
        row = await self._row(partition, name)
        if row is not None and row.phase != Phase.DRAFT and row.revision == wish.revision:
            return await self._who_wrote(wish, partition)
        refuse(decision)
        if row is None or row.revision != wish.revision or row.no != decision.fact[1]:
            # The first answer to this key was for another document, or somebody began the same campaign anew since.
            reused = decision.repeated and row is not None and row.no == decision.fact[1]
            raise Problem(Reason.IDEMPOTENCY_KEY_REUSED if reused else Reason.DEFINITION_INCOMPLETE)
        await tell("define", 1, len(commands))
        for count, command in enumerate(commands[1:], 2):
            if not _is_there(row, command):
                decision = await self._desk.decide(partition, command)
                if not _is_there_by_now(decision, command) and await self._is_sealed(partition, wish):
                    return "unchanged"
                if not _is_there_by_now(decision, command):
                    refuse(decision)
            await tell(step_of(command), count, len(commands))
        return "created"

    async def _set_valve(self, wish: Order, partition: int) -> None:
        """The waiting room as the file has it, before the campaign opens; once it was turned the file says nothing."""
        room, name = wish.campaign.waiting_room, wish.campaign.campaign
        row = await self._row(partition, name)
        if room is None or row is None or (await self._desk.read(partition, [f"q:{row.no}"]))[0] is not None:
            return
        command = SetValve(
            id=self._command_id(wish, "valve"),
            campaign=name,
            valve=room.mode,
            factor_per_mille=room.admission_factor_per_mille,
            actor=wish.actor,
            why=wish.why,
        )
        await self._desk.decide(partition, command)

    async def _who_wrote(self, wish: Order, partition: int) -> str:
        """Of a campaign that has this content: `created` or `changed` where it was this order, at an earlier try."""
        keys = [f"o:{self._command_id(wish, step)}" for step in ("seal", _change_step(wish))]
        sealed, changed = await self._desk.read(partition, keys)
        if changed is not None and changed[0][0] == Fact.RULES_CHANGED:
            return "changed"
        return "created" if sealed is not None and sealed[0][0] == Fact.SEALED else "unchanged"

    # -- changing ----------------------------------------------------------------------------------------------------

    async def _change(self, wish: Order, partition: int, tell: Tell) -> str:
        """Other rules and texts for a sealed campaign. Raises Problem `already_defined` with a line for each thing that
        cannot be changed, `revision_changed` where somebody else was faster."""
        before, found = await self._amending.look(wish.campaign, wish.entitled)
        if found.refused:
            raise Problem(Reason.ALREADY_DEFINED, revision=before, differs=found.refused)
        (began,) = await self._desk.read(partition, [f"o:{self._command_id(wish, 'define')}"])
        if began is not None:  # a late try of a creation that somebody else was faster with: it means to change nothing
            raise Problem(Reason.ALREADY_DEFINED, revision=before, differs=found.changes)
        command = change_of(
            wish.campaign,
            wish.revision,
            before=before,
            command_id=self._command_id(wish, _change_step(wish)),
            actor=wish.actor,
            why=wish.why,
        )
        decision = await self._desk.done(partition, command)
        row = await self._row(partition, wish.campaign.campaign)
        if decision.repeated and row is not None and row.revision != wish.revision:
            raise Problem(Reason.REVISION_CHANGED, revision=row.revision)  # it was so once, and was changed again since
        await tell("change", 1, 1)
        return "changed"

    async def _is_sealed(self, partition: int, wish: Order) -> bool:
        """Whether somebody else has sealed the same content meanwhile."""
        row = await self._row(partition, wish.campaign.campaign)
        return row is not None and row.phase != Phase.DRAFT and row.revision == wish.revision

    async def _open_if_due(self, wish: Order, partition: int) -> None:
        """What the clock would send within its next second, under the same ids: all that is due, in order."""
        name = wish.campaign.campaign
        commands = [
            transition.command(name, self._identities.command_id)
            for transition in due(wish.campaign.windows, self._now_ms())
        ]
        if not commands:
            return
        try:
            # Side by side in the log, so that nobody books between the opening and the closing of a window long over.
            places = [self._door.offer(partition, command) for command in commands[:-1]]
        except Overloaded as error:
            raise Problem(DoorReason.OVERLOADED) from error
        except LogUnavailable as error:
            raise Problem(DoorReason.LOG_UNAVAILABLE) from error
        await self._desk.decide(partition, commands[-1])
        try:
            await asyncio.gather(*places)
        except StreamError as error:
            raise Problem(DoorReason.UNKNOWN_OUTCOME) from error

    async def _applied(self, wish: Order, partition: int, change: str) -> Applied:
        campaign = wish.campaign
        row = await self._row(partition, campaign.campaign)
        if row is None or row.phase == Phase.DRAFT:
            raise Problem(DoorReason.CATCHING_UP)
        return Applied(
            campaign=campaign.campaign,
            region=campaign.region,
            revision=wish.revision,
            change=change,  # type: ignore[arg-type]  # one of its words
            partition=partition,
            phase=phase_word(row.phase),  # type: ignore[arg-type]
            pharmacies=row.pharmacies,
            slots=row.slots,
            units=row.quota,
        )

    def _commands(self, wish: Order) -> list[DefinitionCommand]:
        return commands_of(
            wish.campaign,
            wish.revision,
            lambda step: self._command_id(wish, step),
            entitled=wish.entitled,
            actor=wish.actor,
            why=wish.why,
        )

    def _command_id(self, wish: Order, step: str) -> str:
        return self._identities.command_id(wish.actor, f"apply|{wish.campaign.campaign}", f"{wish.key}|{step}")


def _change_step(wish: Order) -> str:
    """With the revision in it, the same key with another document is another wish, and never silently dropped."""
    return f"change|{wish.revision}"


def _is_there(row: CampaignRow, command: DefinitionCommand) -> bool:
    """Whether a chunk was added before: by an earlier try with this key."""
    if isinstance(command, DefineCampaign | SealDefinition):
        return False
    seen = {AddPharmacies: row.pharmacies_seen, AddSlots: row.slots_seen, AddEntitled: row.entitled_seen}
    return seen[type(command)] >= command.first + entries_of(command)


def _is_there_by_now(decision: Decision, command: DefinitionCommand) -> bool:
    """Whether a command was done, or found done by somebody who applies the same document at the same time."""
    if decision.fact[0] != Fact.REFUSED:
        return True
    if decision.refusal != Reason.DEFINITION_INCOMPLETE or isinstance(command, DefineCampaign | SealDefinition):
        return False
    return int(decision.fact[2]) >= command.first + entries_of(command)
