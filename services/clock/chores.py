"""What slots make due besides openings: shares to release, waiting lists to end, days of which no-shows expire.

The same campaigns make the same chores with the same ids whoever works them out, so two clocks are one, and what is
answered under its id was done.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from services.domain.commands import MAX_CHUNK, EndWaiting, Expire, Release
from services.domain.limits import UNDO_WITHIN_MS
from services.domain.rows import SlotRow
from services.domain.schedule import CLOCK, MakeCommandId
from services.state.catalogue import CampaignView
from services.state.sheets import sheets_key

ChoreCommand = Release | EndWaiting | Expire


class SlotsChore(NamedTuple):
    """Something that is due for these slots of a campaign at once. `first` is how many of that time came before."""

    due_ms: int
    word: str
    campaign: str
    first: int
    slots: tuple[str, ...]

    @property
    def reads(self) -> str | None:
        """The row that tells how much there is to do: none."""
        return None

    def size(self, _sheets: int | None) -> int:
        """How many commands it takes."""
        return 1

    def command(self, _part: int, command_id: MakeCommandId) -> ChoreCommand:
        """The command, the same whoever makes it."""
        kind = Release if self.word == "release" else EndWaiting
        made = command_id(CLOCK, self.campaign, f"{self.word}|{self.due_ms}|{self.first}")
        return kind(id=made, campaign=self.campaign, slots=list(self.slots))


class DayChore(NamedTuple):
    """A pharmacy's day whose no-shows expire: `until_ms` is when its last slot can be picked up no more.

    It is due as long after that as a pick-up may be taken back, for whoever falls back to confirmed is a no-show too.
    """

    due_ms: int
    word: str
    region: str
    pharmacy: str
    day: int
    until_ms: int

    @property
    def reads(self) -> str | None:
        """The row that counts the sheets of the day."""
        return sheets_key(self.region, self.pharmacy, self.day)

    def size(self, sheets: int | None) -> int:
        """How many commands it takes: one for each sheet of the day."""
        return sheets or 0

    def command(self, part: int, command_id: MakeCommandId) -> ChoreCommand:
        """The command for one sheet. A slot that comes later to the same day makes another `until_ms`, and is new."""
        made = command_id(CLOCK, f"{self.region}|{self.pharmacy}|{self.day}", f"expire|{self.until_ms}|{part}")
        return Expire(id=made, region=self.region, pharmacy=self.pharmacy, day=self.day, sheet=part)


Chore = SlotsChore | DayChore


def chores(campaigns: Iterable[CampaignView]) -> list[Chore]:
    """All chores of a partition's campaigns, in the order of time."""
    found: list[Chore] = []
    days: dict[tuple[str, str, int], int] = defaultdict(int)
    for campaign in campaigns:
        found += _of_slots("release", campaign, lambda row: row.release_ms)
        found += _of_slots("end_waiting", campaign, lambda row: row.promote_until_ms)
        for row in campaign.slots.values():
            day = (campaign.row.region, row.pharmacy, row.day)
            days[day] = max(days[day], row.pick_until_ms)
    found += [DayChore(until_ms + UNDO_WITHIN_MS, "expire", *day, until_ms) for day, until_ms in days.items()]
    return sorted(found, key=lambda chore: (chore.due_ms, chore.word, chore[2:]))


def _of_slots(word: str, campaign: CampaignView, due_ms: Callable[[SlotRow], int]) -> Iterator[Chore]:
    """Slots of the same time together, at most MAX_CHUNK of them in one command."""
    by_time: dict[int, list[str]] = defaultdict(list)
    for name, row in campaign.slots.items():
        if due_ms(row) > 0:
            by_time[due_ms(row)].append(name)
    for at_ms, names in by_time.items():
        for first in range(0, len(names), MAX_CHUNK):
            yield SlotsChore(at_ms, word, campaign.name, first, tuple(names[first : first + MAX_CHUNK]))
