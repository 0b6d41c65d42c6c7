"""Random logs: few residents who come often, hot slots, every kind of command, repeats, garbage, and clocks that jump.

A log is made from a seed, so a failure is told in two numbers, the seed and how many steps are enough; hypothesis finds
the smallest number of steps by itself. The pools are small on purpose: what matters is how commands meet.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import strategies as st

from services.domain import commands as c
from services.domain.rows import ReservationState
from tests import builders as b
from tests import room_builders as rooms
from tests.contract.random_campaigns import OTHER_PHARMACY, OTHER_REGION, RESIDENTS, BegunLog, Record
from tests.contract.random_rooms import in_a_room

MAX_STEPS = 150
SLOTS = (*("noon",) * 6, *("evening",) * 3, "night", "night", "tomorrow", "tomorrow", "unknown")
CAMPAIGNS = (*(b.CAMPAIGN,) * 16, "second", "second", "third", "unknown")
TERMINALS = (b.TERMINAL, b.TERMINAL, b.TERMINAL, "next-door", "next-door", "elsewhere", "abroad", "new", "unknown")
PHONES = ("", "family", "family", "firm")
SHARES = ("public", "public", "assisted", "reserve")
MAX_LIVE_LOOKED_AT = 80
LIVE = {ReservationState.CONFIRMED, ReservationState.WAITLISTED, ReservationState.PICKED_UP}
GARBAGE = (
    b"",
    b"\xff\xfe",
    b"[]",
    b'{"type":"cancel"}',
    b'{"type":"open","id":1}',
    b'{"type":"reserve","units":"0x1"}',
)


class RandomLog(BegunLog):
    """Writes a partition's log, step by step. `records` begins with the genesis record and a campaign.

    The model goes along, so that what people do is mostly about reservations that are live.
    """

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._bookings: list[c.Reserve] = []

    def step(self) -> None:
        """One more command, or a few that belong together."""
        ((step, _),) = self._random.choices(STEPS, [weight for _, weight in STEPS])
        step(self)

    # -- steps -------------------------------------------------------------------------------------------------------

    def reserve(self) -> None:
        units = self._random.choice((1, 1, 1, 2, 2, 3, 5, 6))
        who, slot, campaign = self._one_of(*RESIDENTS), self._one_of(*SLOTS), self._one_of(*CAMPAIGNS)
        self._write_booking(
            b.reserve(
                who,
                slot,
                units,
                campaign=campaign,
                key=self._key(),
                phone=self._one_of(*PHONES, who),
                digit=self._random.choice((-1, 0, 3, 5, 8)),
                terminal=self._one_of("", "", "", *TERMINALS) if self._has_many_rules else "",
                ticket=self._one_of("", "", rooms.receipt(who), "+" + rooms.receipt(self._one_of(*RESIDENTS))),
            )
        )

    def _write_booking(self, booking: c.Reserve) -> None:
        self._bookings.append(booking)
        self._write(booking)

    def _a_booking(self) -> c.Reserve:
        """A live one, mostly, or a recent one: pick-ups and what takes them back are about the same few."""
        live = [each for each in self._bookings[-MAX_LIVE_LOOKED_AT:] if self._is_live(each)]
        if live and self._random.random() < 0.7:
            return self._random.choice(live)
        at = int(len(self._bookings) * (1 - self._random.random() ** 3))
        return self._bookings[min(at, len(self._bookings) - 1)]

    def _is_live(self, booking: c.Reserve) -> bool:
        row = self._state.get(f"r:{booking.pass_no}")
        return row is not None and row.state in LIVE

    def act_on_a_reservation(self) -> None:
        if not self._bookings:
            return
        booking = self._a_booking()
        terminal = self._one_of(*TERMINALS)
        match self._random.randrange(9):
            case 0 | 8:
                self._write(b.cancel(booking, key=self._key()))
            case 1:
                self._write(b.cancel(booking, terminal=terminal, key=self._key()))
            case 2 | 3 | 4:
                self._write(b.pick_up(booking, terminal=terminal, key=self._key()))
            case 5:
                self._write(b.undo(booking, terminal=terminal, key=self._key()))
            case _:
                self._write(b.pick_up(booking, terminal=terminal, key=self._key()))
                if self._random.random() < 0.5:
                    self.time_passes()
                self._write(b.undo(booking, terminal=self._one_of(terminal, *TERMINALS), key=self._key()))

    def change_slots(self) -> None:
        for _ in range(self._random.choice((1, 1, 3))):
            if self._bookings:
                terminal = self._one_of("", "", "", *TERMINALS)
                change = b.change_slot(self._a_booking(), self._one_of(*SLOTS), terminal=terminal, key=self._key())
                self._write(change)

    def tell_later(self) -> None:
        """Hand-outs without a network, one of them told twice now and then, or by two terminals."""
        if not self._bookings:
            return
        booking, key = self._a_booking(), self._key()
        at_ms = max(0, self._now_ms - self._random.choice((0, b.MINUTE_MS, 11 * b.HOUR_MS, b.DAY_MS)))
        for _ in range(self._random.choice((1, 1, 2))):
            proof = booking if self._random.random() < 0.9 else None
            self._write(b.record(proof, terminal=self._one_of(*TERMINALS), at_ms=at_ms, key=self._one_of(key, "1")))

    def the_clock_does_its_work(self) -> None:
        campaign, pharmacy = self._one_of(*CAMPAIGNS), self._one_of(b.PHARMACY, b.PHARMACY, OTHER_PHARMACY)
        if self._random.random() < 0.15:
            self._now_ms += 11 * b.HOUR_MS
            self._write(b.tick(self._now_ms))
        if self._random.random() < 0.5:
            work = self._random.choice((b.release, b.end_waiting))
            self._write(work(*self._random.sample(SLOTS, 3), campaign=campaign, key=self._key()))
            return
        region = self._one_of(b.REGION, b.REGION, OTHER_REGION)
        day = b.TODAY + self._random.choice((0, 0, 0, 1))
        for sheet in self._random.choice(((0,), (0, 1), (0, 1, 2, 3), (5,))):
            self._write(b.expire(sheet, region=region, pharmacy=pharmacy, day=day, key=self._key()))

    def change_phase(self) -> None:
        campaign = self._one_of(*CAMPAIGNS)
        match self._random.randrange(10):
            case 0:
                self._write(b.pause(campaign=campaign, key=self._key()))
            case 1:
                self._write(b.close(campaign=campaign, by_clock=self._random.random() < 0.7, key=self._key()))
            case 2 | 3:
                self._write(b.resume(campaign=campaign, key=self._key()))
            case _:
                self._write(b.open_(campaign=campaign, by_clock=self._random.random() < 0.5, key=self._key()))

    def wait_in_the_room(self) -> None:
        campaign = self._one_of(*CAMPAIGNS)
        row = self._state.get(f"c:{campaign}")
        room = None if row is None else self._state.get(f"q:{row.no}")
        for command in in_a_room(self._random, campaign, 1 if room is None else room.round, self._key):
            self._write(command)

    def change_rules(self) -> None:
        """Mostly those in force, and mostly what may be changed; now and then the same change twice."""
        campaign = self._one_of(*CAMPAIGNS)
        row = self._state.get(f"c:{campaign}")
        rules = msgspec.structs.asdict(self._rules())
        if row is not None and self._random.random() < 0.8:
            rules |= {name: getattr(row, name) for name in ("entitled", "assisted_per_mille", "reserve_per_mille")}
        change = b.change_rules(
            campaign=campaign, text=self._key(), units_max=self._random.choice((1, 2, 5)), key=self._key(), **rules
        )
        if row is not None and row.revision != change.revision and self._random.random() < 0.9:
            change = msgspec.structs.replace(change, before=row.revision)
        for _ in range(self._random.choice((1, 1, 1, 2))):
            self._write(change)

    def define(self) -> None:
        campaign, text, key = self._one_of("second", "second", "third", b.CAMPAIGN), self._one_of("a", "b"), self._key()
        slots = [
            b.slot(self._one_of(*SLOTS), self._random.randint(1, 4), **self._times())
            for _ in range(self._random.randint(1, 3))
        ]
        rules, region = self._rules(), self._one_of(b.REGION, OTHER_REGION)
        names: dict[str, Any] = {"campaign": campaign, "text": text, "key": key}
        commands: list[c.Command] = [
            b.define(len(slots), rules=rules, region=region, delete_ms=self._deletion_ms(), **names),
            b.add_pharmacies([b.pharmacy()], self._random.choice((0, 0, 0, 1)), **names),
            b.add_slots(slots, self._random.choice((0, 0, 0, 1)), **names),
            b.seal(**names),
        ]
        if rules.entitled:
            people = self._random.sample(sorted(set(RESIDENTS)), self._random.choice((1, rules.entitled)))
            commands.insert(-1, b.add_entitled(people, self._random.choice((0, 0, 0, 1)), **names))
        for command in commands:
            if self._random.random() < 0.9:
                self._write(command)

    def begin_the_next_round(self) -> None:
        """Another campaign of the region that people can really book in: who got some in the first one comes again."""
        campaign = self._one_of("second", "third")
        slots = [b.slot("noon", 6, **self._times()), b.slot("tomorrow", 3, **self._times())]
        rules = msgspec.structs.asdict(self._rules())
        entitled = sorted(set(RESIDENTS)) if rules.pop("entitled") else []
        opened = b.open_(campaign=campaign, by_clock=True, key=self._key())
        names: dict[str, Any] = {"campaign": campaign, "entitled": entitled, "delete_ms": self._deletion_ms()}
        for command in [*b.definition(slots, **names, **rules), opened]:
            self._write(command)

    def let_the_day_end(self) -> None:
        """Slots are over, and with them what nobody came for; the clock tells of all its chunks."""
        self._now_ms += self._random.choice((9, 13, 22)) * b.HOUR_MS
        self._write(b.tick(self._now_ms))
        for pharmacy in (b.PHARMACY, OTHER_PHARMACY):
            for chunk in range(self._random.choice((1, 2))):
                self._write(b.expire(chunk, pharmacy=pharmacy, key=self._key()))

    def delete_what_is_there(self) -> None:
        """The clock finds what there is, of a campaign whose day has come or comes now; what is live among it too."""
        names = [key[2:] for key, row in self._state.rows.items() if key[:2] == "c:" and row.delete_ms > 0]
        if not names:
            return
        campaign = self._one_of(*names)
        row = self._state.get(f"c:{campaign}")
        if row.delete_ms > self._now_ms:
            self._now_ms = row.delete_ms
            for _ in range(2):  # a tick is believed from the next record on
                self._write(b.tick(self._now_ms))
        found: dict[str, list[list[str]]] = {kind: [] for kind in "rpahemw"}
        for key in self._state.rows:
            kind, *parts = key.split(":")
            if kind in found and self._random.random() < 0.5:
                found[kind].append(parts)
        self._write(
            c.Purge(
                campaign=campaign,
                pass_nos=[pass_no for (pass_no,) in found["r"]][:60],
                residents=[resident for _, resident in found["p"] + found["a"]][:60],
                phones=[phone for _, phone in found["h"]][:20],
                entitled=[resident for _, resident in found["e"]][:20],
                draft=self._random.choice((0, 0, row.no - 1, row.no, row.no + 1)),
                sheets=[
                    c.SheetName(pharmacy=parts[1], day=int(parts[2]), sheet=int(parts[3]))
                    for parts in found["m"]
                    if len(parts) == 4
                ][:20],
                waiting=[c.WaitingChunk(slot=slot, chunk=int(chunk)) for _, slot, chunk in found["w"]][:20],
            )
        )

    def delete_whatever_is_named(self) -> None:
        """Of any campaign, whether its day has come or not."""
        for _ in range(self._random.choice((1, 1, 4))):
            bookings = self._random.sample(self._bookings, min(len(self._bookings), self._random.choice((0, 1, 9, 40))))
            self._write(
                b.purge(
                    *bookings,
                    residents=self._random.sample(RESIDENTS, self._random.choice((0, 1, 6))),
                    phones=self._random.sample(("family", "firm", *RESIDENTS), self._random.choice((0, 2))),
                    entitled=self._random.sample(RESIDENTS, self._random.choice((0, 2))),
                    sheets=self._random.sample(range(6), self._random.choice((0, 3))),
                    waiting=dict.fromkeys(self._random.sample(SLOTS, 2), self._random.choice((0, 0, 1))),
                    pharmacy=self._one_of(b.PHARMACY, b.PHARMACY, OTHER_PHARMACY),
                    campaign=self._one_of(*CAMPAIGNS),
                )
            )

    def change_quota(self) -> None:
        terminal = self._one_of("", "", *TERMINALS)
        slot, campaign, change = self._one_of(*SLOTS), self._one_of(*CAMPAIGNS), self._random.randint(-6, 6)
        share = self._one_of(*SHARES)
        self._write(b.change_quota(change, slot, share=share, terminal=terminal, campaign=campaign, key=self._key()))

    def withdraw_slots(self) -> None:
        """Part of a slot or all of it, mostly where people are; now and then again before they have arrived."""
        if self._random.random() < 0.2:
            self.come_in_a_crowd()
        at = self._a_booking() if self._bookings else b.reserve("anna")
        campaign = self._one_of(at.campaign, at.campaign, *CAMPAIGNS)
        for _ in range(self._random.choice((1, 1, 1, 2))):
            slot, to = self._one_of(*(at.slot,) * 20, *SLOTS), self._one_of(*dict.fromkeys(SLOTS))
            keep = self._random.choice((0, 0, 1, 3, 8))
            if self._random.random() < 0.5:
                self._write(b.withdraw(slot, keep=keep, campaign=campaign, key=self._key()))
            else:
                if self._random.random() < 0.7:
                    self._write(b.change_quota(+9, to, campaign=campaign, key=self._key()))
                self._write(b.move(slot, to, keep=keep, campaign=campaign, key=self._key()))
        if self._random.random() < 0.4:
            reserve = b.change_quota(+3, self._one_of(*SLOTS), share="reserve", campaign=campaign, key=self._key())
            self._write(reserve)

    def change_terminals(self) -> None:
        terminal = self._one_of(*TERMINALS)
        match self._random.randrange(4):
            case 0:
                pharmacy, code = self._one_of(b.PHARMACY, OTHER_PHARMACY), self._one_of("new", "1", "2")
                expires_ms = self._now_ms + self._random.choice((0, b.HOUR_MS))
                self._write(
                    b.invite(
                        self._one_of("new", "1", "2"),
                        pharmacy=pharmacy,
                        code=code,
                        expires_ms=expires_ms,
                        key=self._key(),
                    )
                )
            case 1 | 2:
                self._write(b.pair(self._one_of("new", "1", "2", "unknown", b.TERMINAL), key=self._key()))
            case _:
                self._write(b.revoke(self._one_of(terminal, "new", "1", "2"), key=self._key()))

    def time_passes(self) -> None:
        minutes = self._random.choice((*(1,) * 9, *(6,) * 7, *(60,) * 3, 11 * 60))
        self._now_ms += minutes * b.MINUTE_MS
        if self._random.random() < 0.9:
            self._write(b.tick(self._now_ms))

    def happen_to_the_log(self) -> None:
        match self._random.randrange(4):
            case 0:
                self._write(b.genesis(self._random.randint(1, 3)))
            case 1:
                self._write(b.adopt_rules(1, self._key()))
            case _:
                region, campaign = self._one_of("guangzhou", "dongguan", "foshan"), self._one_of(*CAMPAIGNS)
                self._write(b.assign_region(region, campaign, partitions=self._random.randint(1, 4), key=self._key()))

    def scribble(self) -> None:
        whole = self._random.choice(self.records).value
        self._write(self._random.choice((*GARBAGE, whole[: self._random.randint(0, len(whole))], whole + b"\n,")))

    def repeat(self) -> None:
        for _ in range(self._random.choice((1, 1, 5))):
            self._write(self._random.choice(self.records).value)

    def try_too_often(self) -> None:
        who, slot = self._one_of(*RESIDENTS), self._one_of(*SLOTS)
        for _ in range(21):
            self._write(b.reserve(who, slot, units=9, key=self._key()))

    def ask_too_often(self) -> None:
        if self._bookings:
            booking, terminal = self._random.choice(self._bookings), self._one_of(*TERMINALS)
            for _ in range(21):
                self._write(b.pick_up(booking, terminal=terminal, key=self._key()))

    def come_in_a_crowd(self) -> None:
        slot, key = self._one_of(*SLOTS), self._key()
        for n in range(33):
            phone = self._one_of("", "firm")
            self._write_booking(b.reserve(f"somebody {n}", slot, digit=n % 10, phone=phone, key=key))

    def go_away_in_a_crowd(self) -> None:
        """Units come free all at once, more of them than one record deals with."""
        for _ in range(self._random.choice((3, 12))):
            if self._bookings:
                self._write(b.cancel(self._a_booking(), key=self._key()))
        if self._random.random() < 0.5:
            self._write(b.change_quota(+12, self._one_of(*SLOTS), key=self._key()))


STEPS: list[tuple[Callable[[RandomLog], None], float]] = [
    (RandomLog.reserve, 34),
    (RandomLog.act_on_a_reservation, 26),
    (RandomLog.change_slots, 6),
    (RandomLog.tell_later, 6),
    (RandomLog.the_clock_does_its_work, 6),
    (RandomLog.repeat, 8),
    (RandomLog.change_phase, 5),
    (RandomLog.define, 5),
    (RandomLog.change_rules, 2),
    (RandomLog.wait_in_the_room, 6),
    (RandomLog.begin_the_next_round, 1),
    (RandomLog.let_the_day_end, 1),
    (RandomLog.delete_what_is_there, 2),
    (RandomLog.delete_whatever_is_named, 1),
    (RandomLog.time_passes, 5),
    (RandomLog.change_quota, 4),
    (RandomLog.withdraw_slots, 4),
    (RandomLog.change_terminals, 4),
    (RandomLog.happen_to_the_log, 3),
    (RandomLog.scribble, 3),
    (RandomLog.try_too_often, 0.4),
    (RandomLog.ask_too_often, 0.4),
    (RandomLog.come_in_a_crowd, 2),
    (RandomLog.go_away_in_a_crowd, 2),
]


def random_log(seed: int, steps: int) -> list[Record]:
    """The same log for the same numbers; one with fewer steps is its beginning."""
    log = RandomLog(seed)
    for _ in range(steps):
        log.step()
    return log.records


seeds = st.integers(0, 2**32 - 1)
# Most logs are long: short ones are what failures are shrunk to, not where they are found.
lengths = st.integers(0, MAX_STEPS).map(lambda fewer: MAX_STEPS - fewer)
