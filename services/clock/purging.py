"""What stands in Redis of people goes on the deletion day that they were told: looked for, and named to the fold.

A pass walks over the keys of a partition and names what belongs to campaigns whose day has come, a few commands each
second and one at a time: whoever books meanwhile waits for one of them at most. What went is counted by the fold, and
a pass after which nothing had gone was the last. What has to stay for now (who did not come is no no-show yet, or a
cool-down lasts) says when to look again. Nothing of this is remembered anywhere: a clock that starts anew looks through
everything again, and two of them name the same.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from services.domain.commands import MAX_PURGED, MAX_PURGED_SHEETS, Purge, SheetName, WaitingChunk
from services.domain.rows import PersonRow, Phase, ReservationRow, ReservationState, SheetRow
from services.domain.rules.answers import Fact
from services.platform.errors import MasklineError
from services.platform.metrics import COMMANDS_OFFERED
from services.state.catalogue import CampaignView
from services.state.decisions import DecisionGoneError
from services.state.door import Door
from services.state.readers import MAX_KEYS_PER_READ

LOOK_S: Final = 1.0
SCANS_PER_LOOK: Final = 20
COMMANDS_PER_LOOK: Final = 20
"""In one partition: 4,000 rows a second. One takes Redis 2 ms (100 reservations with their residents)."""
WHILE_OPEN: Final = 1
"""Scans, and commands, of a look in a partition where somebody may book: the day is kept, and nobody is slowed."""
AGAIN_MS: Final = 600_000
"""Between two passes, where something was live that is to expire first."""
DECIDED_WITHIN_S: Final = 10.0
KINDS: Final = "rpahemw"
_DIGEST, _NAME = "[A-Za-z0-9_-]{16}", "[A-Za-z0-9][A-Za-z0-9._-]{0,47}"
_KEY: Final = re.compile(
    rf"r:{_DIGEST}|p:{_NAME}:{_DIGEST}|[ahe]:\d{{1,6}}:{_DIGEST}|w:\d{{1,6}}:{_NAME}:\d{{1,6}}"
    rf"|m:{_NAME}:{_NAME}:\d{{8}}:\d{{1,6}}"
)
"""Keys that the fold makes. A foreign one would make the command malformed that names it; `verify` finds those."""
LIVE: Final = (ReservationState.CONFIRMED, ReservationState.WAITLISTED)
COUNTED: Final = ("reservations", "residents", "phones", "entitled", "sheets", "waiting")

log = structlog.get_logger(__name__)

Name = tuple[str, Any]
"""A field of `Purge`, and one entry of it."""


@dataclass(slots=True)
class _Course:
    """How far the pass of a partition is, for these campaigns. `names` are found and not sent yet, by campaign."""

    due: frozenset[int]
    is_passing: bool = True
    cursor: int = 0
    is_at_end: bool = False
    gone: int = 0
    again_ms: int = 0  # when to look again for what has to stay for now; 0: nothing has
    names: defaultdict[int, list[Name]] = field(default_factory=lambda: defaultdict(list))
    drafts: dict[int, int] = field(default_factory=dict)
    """Other numbers in keys: the campaign that is due and whose definition was begun under it, or 0."""

    def begin_pass(self) -> None:
        self.is_passing, self.cursor, self.is_at_end, self.gone, self.again_ms = True, 0, False, 0, 0

    def stays_until(self, at_ms: int) -> None:
        self.again_ms = min(self.again_ms or at_ms, at_ms)

    @property
    def found(self) -> int:
        return sum(len(names) for names in self.names.values())


class Purging:
    """Looks through every partition. `wrong` is what keeps it from its work, in words."""

    def __init__(self, door: Door) -> None:
        self.wrong: str | None = None
        self._door = door
        self._courses: dict[int, _Course] = {}

    async def look(self) -> None:
        """A bounded piece of every partition's pass. What fails is found again by the next pass."""
        wrong = None
        for partition in range(self._door.partitions):
            try:
                await self._look_at(partition)
            except MasklineError as error:
                wrong = f"what is over in partition {partition} cannot be deleted: {error}"
                if partition in self._courses:
                    self._courses[partition].gone += 1  # nobody knows
                    self._courses[partition].names.clear()
        if wrong is not None and self.wrong is None:
            log.warning("What is over is not deleted", action="clock_purge_hindered", why=wrong)
        self.wrong = wrong

    async def _look_at(self, partition: int) -> None:
        campaigns = [campaign for campaign in self._door.catalogue if campaign.partition == partition]
        now_ms = (await self._door.reader.read(partition, [])).head.now_ms
        due = {campaign.row.no: campaign for campaign in campaigns if 0 < campaign.row.delete_ms <= now_ms}
        course = self._courses.get(partition)
        if course is None or course.due != due.keys():
            course = self._courses[partition] = _Course(frozenset(due), is_passing=bool(due))
        if not course.is_passing and 0 < course.again_ms <= now_ms:
            course.begin_pass()
        if not course.is_passing:
            return
        is_open = any(campaign.phase is Phase.OPEN for campaign in campaigns)
        scans, commands = (WHILE_OPEN, WHILE_OPEN) if is_open else (SCANS_PER_LOOK, COMMANDS_PER_LOOK)
        for _ in range(scans):
            if course.is_at_end or course.found >= commands * MAX_PURGED:
                break
            course.cursor, keys = await self._door.reader.scan(partition, KINDS, course.cursor)
            course.is_at_end = course.cursor == 0
            await self._find(partition, course, due, keys)
        await self._send(partition, course, due, commands)
        if course.is_at_end and course.found == 0:
            if course.gone > 0:
                course.begin_pass()
            else:
                course.is_passing = False

    # ------------------------------------------------------------------------------------------------------- finding

    async def _find(self, partition: int, course: _Course, due: dict[int, CampaignView], keys: Sequence[str]) -> None:
        looked_at = []
        told = [key for key in keys if _KEY.fullmatch(key)]
        await self._learn_drafts(partition, course, due, told)
        for key in told:
            kind, no, *names = key.split(":")
            if kind in "rpm":
                looked_at.append(key)
            elif int(no) in due or (kind == "e" and course.drafts.get(int(no))):
                course.names[int(no)].append(_named(kind, names))
        for first in range(0, len(looked_at), MAX_KEYS_PER_READ):
            piece = looked_at[first : first + MAX_KEYS_PER_READ]
            reading = await self._door.reader.read(partition, piece)
            for key, row in zip(piece, reading.rows, strict=True):
                self._look_into(course, due, key, row, reading.head.now_ms)

    async def _learn_drafts(
        self, partition: int, course: _Course, due: dict[int, CampaignView], keys: Sequence[str]
    ) -> None:
        """Whose lists of the entitled stand under other numbers: a definition may have been begun anew."""
        numbers = {int(key.split(":")[1]) for key in keys if key[0] == "e"} - due.keys() - course.drafts.keys()
        if numbers:
            unknown = sorted(numbers)[:MAX_KEYS_PER_READ]
            rows = (await self._door.reader.read(partition, [f"n:{no}" for no in unknown])).rows
            by_name = {campaign.name: no for no, campaign in due.items()}
            course.drafts |= {no: by_name.get(name, 0) for no, name in zip(unknown, rows, strict=True)}

    def _look_into(self, course: _Course, due: dict[int, CampaignView], key: str, row: Any, now_ms: int) -> None:
        """A row that names its campaign; None where it has gone since."""
        _, *names = key.split(":")
        match row:
            case ReservationRow() if row.no in due:
                if row.state in LIVE:
                    course.stays_until(now_ms + AGAIN_MS)
                else:
                    course.names[row.no].append(("pass_nos", names[0]))
            case SheetRow() if row.no in due:
                sheet = SheetName(pharmacy=names[1], day=int(names[2]), sheet=int(names[3]))
                course.names[row.no].append(("sheets", sheet))
            case PersonRow() if row.no in due:
                if row.live != "":  # it goes first, and then its resident with it
                    course.names[row.no].append(("pass_nos", row.live))
                course.names[row.no].append(("residents", names[1]))
            case PersonRow() if row.no == 0 and row.aside == 0:
                self._look_at_cool_down(course, due, names, row, now_ms)

    def _look_at_cool_down(
        self, course: _Course, due: dict[int, CampaignView], names: Sequence[str], row: PersonRow, now_ms: int
    ) -> None:
        """What is left of somebody goes with any campaign of the region, once nobody has to wait for it."""
        region, resident = names
        if row.cool_until_ms > now_ms:
            course.stays_until(row.cool_until_ms)
            return
        no = next((no for no, campaign in due.items() if campaign.row.region == region), None)
        if no is not None:
            course.names[no].append(("residents", resident))

    # ------------------------------------------------------------------------------------------------------- sending

    async def _send(self, partition: int, course: _Course, due: dict[int, CampaignView], commands: int) -> None:
        counts = [0] * len(COUNTED)
        sent = 0
        while sent < commands and course.found > 0:
            no = next(no for no, names in course.names.items() if names)
            draft = 0 if no in due else no
            command = _command(due[course.drafts[no] if draft else no].name, draft, course.names[no])
            facts = await self._decided(partition, command)
            sent += 1
            if facts is None:
                course.gone += 1  # nobody knows
                break
            if facts[0][0] == Fact.PURGED:
                counts = [before + more for before, more in zip(counts, facts[0][1:], strict=True)]
        if sent > 0:
            course.gone += sum(counts)
            COMMANDS_OFFERED.add_many(sent, "purge", partition)
            told = dict(zip(COUNTED, counts, strict=True))
            log.info("By the clock", action="clock_purge", partition=partition, commands=sent, **told)

    async def _decided(self, partition: int, command: Purge) -> list[list[Any]] | None:
        """The facts; None where they were not there in time. Raises MasklineError."""
        place = await self._door.offer(partition, command)
        try:
            return await self._door.decided(place, DECIDED_WITHIN_S)
        except DecisionGoneError:
            return None


def _named(kind: str, names: Sequence[str]) -> Name:
    """What a key of one campaign names."""
    match kind:
        case "h":
            return "phones", names[0]
        case "e":
            return "entitled", names[0]
        case "w":
            return "waiting", WaitingChunk(slot=names[0], chunk=int(names[1]))
    return "residents", names[0]


def _command(campaign: str, draft: int, names: list[Name]) -> Purge:
    """As much as one command may carry, taken from the names."""
    parts: dict[str, list[Any]] = defaultdict(list)
    taken = 0
    for what, name in names[:MAX_PURGED]:
        if what == "sheets" and len(parts["sheets"]) == MAX_PURGED_SHEETS:
            break
        parts[what].append(name)
        taken += 1
    del names[:taken]
    return Purge(campaign=campaign, draft=draft, **parts)
