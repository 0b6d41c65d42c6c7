"""What a random log begins with: a campaign with some of all rules, terminals, and a model that goes along.

`random_logs.py` has what people, pharmacies and the clock do then. The pools are small on purpose: what matters is how
commands meet.
"""

from random import Random
from typing import Any, NamedTuple

import msgspec

from services.domain import commands as c
from services.domain.fold import apply
from services.domain.rows import State
from tests import builders as b

OTHER_PHARMACY = "pharmacy-2"
OTHER_REGION = "foshan"
RESIDENTS = ("anna", "anna", "anna", "ben", "ben", "cleo", "dan", "eve", "finn")
JUMPS_MS = (0, 0, 0, 0, 1, 7, 40_000, -b.HOUR_MS, b.YEAR_2100_MS, 2**62)


class Record(NamedTuple):
    """A record's value and its time stamp."""

    value: bytes
    at_ms: int


class BegunLog:
    """A partition's log, from its genesis record to a campaign that is open, mostly."""

    def __init__(self, seed: int) -> None:
        self.records: list[Record] = []
        self._random = Random(seed)
        self._now_ms = b.NOON_MS
        self._state = State()
        self._count = 0
        self._has_many_rules = self._random.random() < 0.7
        self._has_waiting_lists = self._random.random() < 0.4
        self._append(Record(c.encode(b.genesis()), self._now_ms))
        for command in self._beginning(quota=self._random.choice((4, 9, 80))):
            self._write(command)

    def _write(self, command: c.Command | bytes) -> None:
        value = command if isinstance(command, bytes) else c.encode(command)
        self._append(Record(value, self._now_ms + self._random.choice(JUMPS_MS)))

    def _append(self, record: Record) -> None:
        offset, command = len(self.records), c.decode(record.value)
        self.records.append(record)
        apply(self._state, offset=offset, timestamp_ms=record.at_ms, digest=0, command=command)

    def _one_of(self, *choices: str) -> str:
        return self._random.choice(choices)

    def _key(self) -> str:
        """Mostly a new one; now and then one that was there."""
        self._count += 1
        return str(self._random.randint(1, 3) if self._random.random() < 0.2 else self._count)

    def _beginning(self, quota: int) -> list[c.Command]:
        slots = [
            b.slot("noon", quota, hour=14, **self._times()),
            b.slot("evening", 3, hour=20, **self._times()),
            b.slot("night", 2, pharmacy=OTHER_PHARMACY, hour=22, **self._times()),
            b.slot("tomorrow", 4, day=b.TODAY + 1, day_from_ms=b.MIDNIGHT_MS + b.DAY_MS, **self._times()),
        ][: self._random.choice((1, 4, 4, 4))]
        opened = [b.open_(key="beginning")] if self._random.random() < 0.9 else []
        rules = msgspec.structs.asdict(self._rules())
        entitled = [*sorted(set(RESIDENTS)), "somebody 0"] if rules.pop("entitled") else []
        return [
            *b.definition(slots, entitled=entitled, delete_ms=self._deletion_ms(), **rules), *opened,
            b.invite(), b.pair(), b.invite("next-door"), b.pair("next-door"),
            b.invite("elsewhere", pharmacy=OTHER_PHARMACY), b.pair("elsewhere"),
            b.invite("abroad", region=OTHER_REGION), b.pair("abroad"),
        ]  # fmt: skip

    def _sometimes(self, probability: float) -> bool:
        return self._has_many_rules and self._random.random() < probability

    def _times(self) -> dict[str, Any]:
        """The times of a slot's rules; in a campaign without rules, none."""
        times_ms: dict[str, Any] = {}
        for name in (
            "pick_until_ms",
            "cool_until_ms",
            "release_ms",
            "promote_until_ms",
            "change_until_ms",
        ):
            if self._sometimes(0.7):
                times_ms[name] = b.NOON_MS + self._random.choice((1, 4, 9, 13, 20, 40)) * b.HOUR_MS
        if self._has_waiting_lists:
            times_ms["promote_until_ms"] = b.NOON_MS + self._random.choice((1, 9, 40)) * b.HOUR_MS
        return times_ms

    def _deletion_ms(self) -> int:
        """When a campaign's deletion day begins, sometimes in the middle of it: the fold holds whatever it is told."""
        return b.NOON_MS + self._random.choice((4, 9, 20, 40)) * b.HOUR_MS if self._random.random() < 0.6 else 0

    def _rules(self) -> c.CampaignRules:
        days = []
        if self._sometimes(0.2):
            digits = self._random.sample(range(10), 6)
            days = [c.StaggerDay(from_ms=b.MIDNIGHT_MS, to_ms=b.MIDNIGHT_MS + b.DAY_MS, digits=digits)]
        assisted, reserve = self._random.choice(((1, 1), (250, 300), (500, 0), (500, 500), (0, 300), (1000, 0)))
        has_shares = self._sometimes(0.5)
        return c.CampaignRules(
            household_max=self._random.choice((1, 2, 3)) if self._sometimes(0.4) else 0,
            cool_down=self._sometimes(0.5),
            entitled=self._random.choice((1, 2, 3)) if self._sometimes(0.2) else 0,
            stagger=days,
            waiting_per_mille=self._random.choice((500, 5000, 5000)) if self._has_waiting_lists else 0,
            assisted_per_mille=assisted if has_shares else 0,
            reserve_per_mille=reserve if has_shares else 0,
        )
