"""What people heard, held against what the log says: only both together tell whether somebody was let down.

Read from the two topics alone; what Redis has is `verify`'s to compare.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from loadtests.tally import Tally
from services.audit.verify import VerifySettings
from services.domain import documents
from services.domain.commands import Reserve, decode
from services.domain.events import Event
from services.domain.events import decode as decode_event
from services.platform.identities import Identities
from services.platform.secrets import Secrets
from services.stream.topics import COMMANDS, EVENTS
from tests.chaos.city import CAMPAIGN
from tests.chaos.crowd import Wish
from tests.chaos.log_copy import Record, records_of

DECIDED: Final = frozenset({"confirmed", "rejected", "waitlisted"})


@dataclass(frozen=True)
class Hearing:
    """Counts of people who were let down; all of them 0 where all is well."""

    lost: int
    """Somebody has a 202 and the log has no decision."""
    decided_twice: int
    """One wish, two first decisions."""
    told_otherwise: int
    """Somebody heard another decision than the log has."""
    unheard: int
    """Confirmed in the log, and neither told nor given up: units that nobody will fetch."""
    unasked: int
    """In the log, and nobody asked for it."""
    got_two: int
    """One person, two confirmed reservations."""

    def faults(self) -> list[str]:
        """Those that are not 0, in words."""
        return [f"{name}: {count}" for name, count in vars(self).items() if count]


async def hear(settings: VerifySettings, partitions: int, wishes: Sequence[Wish], tally: Tally) -> Hearing:
    """Compare. Everything that the log has must be published by now."""
    asked: set[str] = set()
    identities = Identities(Secrets.load(settings.data / "secrets"))
    in_log: Counter[str] = Counter()
    decided: dict[str, list[Event]] = defaultdict(list)
    for partition in range(partitions):
        asked |= _asked(identities, partition, wishes)
        commands = [decode(record.value) for record in await records_of(settings, COMMANDS, partition)]
        in_log.update(each.pass_no for each in commands if isinstance(each, Reserve) and each.campaign == CAMPAIGN)
        events = {event.id: event for event in map(_event, await records_of(settings, EVENTS, partition)) if event}
        for event in events.values():
            if event.command == "reserve" and event.type in DECIDED and event.campaign == CAMPAIGN:
                decided[event.pass_no].append(event)
    heard = {identities.pass_no(id_): each.state for id_, each in tally.reservations.items()}
    confirmed = [each for events in decided.values() for each in events if each.type == "confirmed"]
    untold = {each.pass_no for each in confirmed} - {no for no, state in heard.items() if state != "pending"}
    return Hearing(
        lost=sum(1 for pass_no in heard if pass_no not in decided or pass_no not in in_log),
        decided_twice=sum(1 for events in decided.values() if len(events) > 1),
        told_otherwise=sum(
            1
            for pass_no, state in heard.items()
            if state != "pending" and decided.get(pass_no) and decided[pass_no][0].type != state
        ),
        unheard=max(0, len(untold) - tally.unknown),
        unasked=len(in_log.keys() - asked),
        got_two=sum(1 for count in Counter(each.resident for each in confirmed).values() if count > 1),
    )


def _asked(identities: Identities, partition: int, wishes: Sequence[Wish]) -> set[str]:
    """Pass numbers of everything that may have been asked."""
    found = set()
    for (kind, number, _), keys in wishes:
        resident = identities.resident(kind, documents.canonical(kind, number))
        for key in keys:
            found.add(identities.pass_no(identities.reservation_id(partition, CAMPAIGN, resident, key)))
    return found


def _event(record: Record) -> Event | None:
    try:
        return decode_event(record.value or b"")
    except msgspec.DecodeError:  # says nothing about people; verify counts it
        return None
