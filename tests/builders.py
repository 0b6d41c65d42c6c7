"""Commands in words. What a test does not say has a value that is valid and harmless.

booking = reserve("anna", slot="morning", units=2)
cancel(booking)
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from services.domain import commands as c
from services.domain.reasons import Reason
from services.domain.rows import Facts
from services.domain.rules.answers import Fact
from tests.definition_text import definition_text

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
NOON_MS = 1_580_529_600_000  # 1 February 2020, 12:00 in Guangzhou
MIDNIGHT_MS = NOON_MS - 12 * HOUR_MS
TODAY = 20200201
YEAR_2100_MS = 4_102_444_800_000

LOG, KEY_CHECK = "log-of-this-test", "key-of-this-test"
CAMPAIGN, REGION, PHARMACY, SLOT, TERMINAL = "gz-2020-02", "guangzhou", "pharmacy-1", "noon", "terminal-1"
NO_RULES = c.CampaignRules()
NOBODY_WAITS: Mapping[str, int] = {}


def digest(*words: object, length: int = 16) -> str:
    """Stands in for a keyed digest: other words, other characters."""
    text = "\x1f".join(map(str, words))
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())[:length].decode()


def revision(words: str) -> str:
    """The revision of a definition, by any name."""
    return hashlib.sha256(words.encode()).hexdigest()[:16]


# -- the log -----------------------------------------------------------------------------------------------------------


def genesis(rules: int = 1) -> c.Genesis:
    return c.Genesis(log=LOG, key_check=KEY_CHECK, rules=rules)


def tick(at_ms: int) -> c.Tick:
    return c.Tick(at_ms=at_ms)


def adopt_rules(version: int, key: str = "1") -> c.AdoptRules:
    return c.AdoptRules(id=digest("rules", version, key), version=version)


def assign_region(region: str, campaign: str, *, partitions: int = 4, key: str = "1") -> c.AssignRegion:
    return c.AssignRegion(
        id=digest("region", region, campaign, key), region=region, campaign=campaign, partitions=partitions
    )


# -- a campaign --------------------------------------------------------------------------------------------------------


def slot(
    name: str = SLOT,
    units: int = 10,
    *,
    pharmacy: str = PHARMACY,
    day: int = TODAY,
    day_from_ms: int = MIDNIGHT_MS,
    hour: int = 12,
    **times_ms: int,
) -> c.Slot:
    """An hour at a pharmacy, on the day that begins at `day_from_ms`; `times_ms` are the times of rules."""
    starts_ms = day_from_ms + hour * HOUR_MS
    return c.Slot(
        id=name,
        pharmacy=pharmacy,
        day=day,
        starts_ms=starts_ms,
        ends_ms=starts_ms + HOUR_MS,
        day_from_ms=day_from_ms,
        day_to_ms=day_from_ms + DAY_MS,
        units=units,
        **times_ms,
    )


def slots_of(units: Mapping[str, int]) -> list[c.Slot]:
    """Slots of one pharmacy by name and units."""
    return [slot(name, quota) for name, quota in units.items()]


def pharmacy(name: str = PHARMACY) -> c.Pharmacy:
    return c.Pharmacy(id=name, name=f"Pharmacy {name}", lon_e6=113_264_385, lat_e6=23_129_112)


def define(
    slots: int,
    *,
    campaign: str = CAMPAIGN,
    pharmacies: int = 1,
    units_max: int = 5,
    region: str = REGION,
    rules: c.CampaignRules = NO_RULES,
    delete_ms: int = 0,
    text: str = "a",
    key: str = "1",
) -> c.DefineCampaign:
    """Begins a definition; `text` makes its revision."""
    return c.DefineCampaign(
        id=digest("define", campaign, text, key),
        campaign=campaign,
        region=region,
        revision=revision(text),
        units_max=units_max,
        pharmacies=pharmacies,
        slots=slots,
        definition=definition_text(campaign, region, text),
        rules=rules,
        delete_ms=delete_ms,
    )


def add_pharmacies(
    pharmacies: Iterable[c.Pharmacy], first: int = 0, *, campaign: str = CAMPAIGN, text: str = "a", key: str = "1"
) -> c.AddPharmacies:
    return c.AddPharmacies(
        id=digest("pharmacies", campaign, text, first, key),
        campaign=campaign,
        revision=revision(text),
        first=first,
        pharmacies=list(pharmacies),
    )


def add_slots(
    slots: Iterable[c.Slot], first: int = 0, *, campaign: str = CAMPAIGN, text: str = "a", key: str = "1"
) -> c.AddSlots:
    return c.AddSlots(
        id=digest("slots", campaign, text, first, key),
        campaign=campaign,
        revision=revision(text),
        first=first,
        slots=list(slots),
    )


def add_entitled(
    people: Iterable[str], first: int = 0, *, campaign: str = CAMPAIGN, text: str = "a", key: str = "1"
) -> c.AddEntitled:
    return c.AddEntitled(
        id=digest("entitled", campaign, text, first, key),
        campaign=campaign,
        revision=revision(text),
        first=first,
        residents=[digest("resident", who) for who in people],
    )


def seal(*, campaign: str = CAMPAIGN, text: str = "a", key: str = "1") -> c.SealDefinition:
    return c.SealDefinition(id=digest("seal", campaign, text, key), campaign=campaign, revision=revision(text))


def definition(
    slots: Iterable[c.Slot],
    *,
    campaign: str = CAMPAIGN,
    region: str = REGION,
    units_max: int = 5,
    entitled: Iterable[str] = (),
    delete_ms: int = 0,
    **rules: Any,
) -> list[c.Command]:
    """The commands that define and seal a campaign, in chunks as large as they may be; its rules by their names."""
    slots, people = list(slots), list(entitled)
    names = list(dict.fromkeys(slot.pharmacy for slot in slots))
    commands: list[c.Command] = [
        define(
            len(slots),
            campaign=campaign,
            pharmacies=len(names),
            units_max=units_max,
            region=region,
            rules=c.CampaignRules(entitled=len(people), **rules),
            delete_ms=delete_ms,
        )
    ]
    for first in range(0, len(names), c.MAX_CHUNK):
        chunk = [pharmacy(name) for name in names[first : first + c.MAX_CHUNK]]
        commands.append(add_pharmacies(chunk, first, campaign=campaign))
    chunks = [
        add_slots(slots[first : first + c.MAX_CHUNK], first, campaign=campaign)
        for first in range(0, len(slots), c.MAX_CHUNK)
    ]
    lists = [
        add_entitled(people[first : first + c.MAX_ENTITLED_CHUNK], first, campaign=campaign)
        for first in range(0, len(people), c.MAX_ENTITLED_CHUNK)
    ]
    return [*commands, *chunks, *lists, seal(campaign=campaign)]


def change_rules(
    *, before: str = "a", text: str = "b", campaign: str = CAMPAIGN, units_max: int = 5, key: str = "1", **rules: Any
) -> c.ChangeRules:
    """Other rules, by their names, instead of those under the revision of `before`; what is not named is not asked."""
    return c.ChangeRules(
        id=digest("change", campaign, before, text, key),
        campaign=campaign,
        before=revision(before),
        revision=revision(text),
        units_max=units_max,
        definition=definition_text(campaign, REGION, text),
        rules=c.CampaignRules(**rules),
    )


def open_(*, campaign: str = CAMPAIGN, by_clock: bool = False, key: str = "1") -> c.Open:
    return c.Open(id=digest("open", campaign, by_clock, key), campaign=campaign, by_clock=by_clock)


def pause(*, campaign: str = CAMPAIGN, key: str = "1") -> c.Pause:
    return c.Pause(id=digest("pause", campaign, key), campaign=campaign)


def resume(*, campaign: str = CAMPAIGN, key: str = "1") -> c.Resume:
    return c.Resume(id=digest("resume", campaign, key), campaign=campaign)


def close(*, campaign: str = CAMPAIGN, by_clock: bool = False, key: str = "1") -> c.Close:
    return c.Close(id=digest("close", campaign, by_clock, key), campaign=campaign, by_clock=by_clock)


# -- residents ---------------------------------------------------------------------------------------------------------


def reserve(
    who: str,
    slot: str = SLOT,
    units: int = 1,
    *,
    campaign: str = CAMPAIGN,
    key: str = "1",
    phone: str | None = None,
    digit: int = -1,
    terminal: str = "",
    ticket: str = "",
) -> c.Reserve:
    """One wish of one resident, with a phone of their own unless the test says whose (or none: ""); another `key`
    makes it another wish. With `terminal` it is the wish of somebody at a desk."""
    return c.Reserve(
        campaign=campaign,
        slot=slot,
        units=units,
        resident=digest("resident", who),
        pass_no=digest("pass", campaign, who, key),
        digest=digest("body", campaign, slot, units, who, length=8),
        last4_hash=digest("last4", who, length=8),
        phone_pseudonym="" if phone == "" else digest("phone", phone or who),
        contact=digest("contact", who, length=32) * 2,
        digit=digit,
        terminal=terminal,
        ticket=ticket,
    )


def cancel(booking: c.Reserve, *, terminal: str = "", key: str = "1") -> c.Cancel:
    return c.Cancel(id=digest("cancel", booking.pass_no, terminal, key), pass_no=booking.pass_no, terminal=terminal)


def change_slot(booking: c.Reserve, slot: str, *, terminal: str = "", key: str = "1") -> c.ChangeSlot:
    return c.ChangeSlot(
        id=digest("change", booking.pass_no, slot, key), pass_no=booking.pass_no, slot=slot, terminal=terminal
    )


# -- pharmacies --------------------------------------------------------------------------------------------------------


def pick_up(booking: c.Reserve, *, terminal: str = TERMINAL, key: str = "1") -> c.PickUp:
    return c.PickUp(id=digest("pick-up", booking.pass_no, terminal, key), pass_no=booking.pass_no, terminal=terminal)


def record(
    booking: c.Reserve | None, *, terminal: str = TERMINAL, at_ms: int = NOON_MS, key: str = "1"
) -> c.RecordPickUp:
    """A hand-out without a network, told later; None: without a genuine pass. Its key is that of a `pick_up`."""
    pass_no = booking.pass_no if booking else ""
    return c.RecordPickUp(id=digest("pick-up", pass_no, terminal, key), pass_no=pass_no, terminal=terminal, at_ms=at_ms)


def undo(booking: c.Reserve, *, terminal: str = TERMINAL, key: str = "1") -> c.UndoPickUp:
    return c.UndoPickUp(id=digest("undo", booking.pass_no, terminal, key), pass_no=booking.pass_no, terminal=terminal)


def change_quota(
    change: int, slot: str = SLOT, *, share: str = "public", terminal: str = "", campaign: str = CAMPAIGN,
    key: str = "1",
) -> c.ChangeQuota:  # fmt: skip
    return c.ChangeQuota(
        id=digest("quota", campaign, slot, terminal, key),
        campaign=campaign,
        slot=slot,
        change=change,
        share=share,
        terminal=terminal,
    )


def withdraw(slot: str = SLOT, *, keep: int = 0, campaign: str = CAMPAIGN, key: str = "1") -> c.WithdrawSlot:
    """The pharmacy got no more than `keep` units for this slot."""
    return c.WithdrawSlot(id=digest("withdraw", campaign, slot, key), campaign=campaign, slot=slot, keep=keep)


def move(slot: str, to: str, *, keep: int = 0, campaign: str = CAMPAIGN, key: str = "1") -> c.MoveSlot:
    """The pharmacy got no more than `keep` units for this slot, and another slot has room."""
    return c.MoveSlot(id=digest("move", campaign, slot, to, key), campaign=campaign, slot=slot, to=to, keep=keep)


def release(*slots: str, campaign: str = CAMPAIGN, key: str = "1") -> c.Release:
    """The clock: what the assisted share of these slots did not use becomes public."""
    return c.Release(id=digest("release", campaign, *slots, key), campaign=campaign, slots=list(slots or [SLOT]))


def end_waiting(*slots: str, campaign: str = CAMPAIGN, key: str = "1") -> c.EndWaiting:
    """The clock: nobody is promoted in these slots any more."""
    return c.EndWaiting(id=digest("end", campaign, *slots, key), campaign=campaign, slots=list(slots or [SLOT]))


def expire(
    sheet: int = 0, *, region: str = REGION, pharmacy: str = PHARMACY, day: int = TODAY, key: str = "1"
) -> c.Expire:
    """The clock: who of this sheet of a pharmacy's day did not come."""
    return c.Expire(
        id=digest("expire", region, pharmacy, day, sheet, key), region=region, pharmacy=pharmacy, day=day, sheet=sheet
    )


def purge(
    *bookings: c.Reserve, residents: Iterable[str] = (), phones: Iterable[str] = (), entitled: Iterable[str] = (),
    sheets: Iterable[int] = (), waiting: Mapping[str, int] = NOBODY_WAITS, pharmacy: str = PHARMACY,
    campaign: str = CAMPAIGN, draft: int = 0,
) -> c.Purge:  # fmt: skip
    """The clock: the deletion day has come. `waiting` is a chunk of each of these slots' waiting lists."""
    return c.Purge(
        campaign=campaign,
        pass_nos=[booking.pass_no for booking in bookings],
        residents=[digest("resident", who) for who in residents],
        phones=[digest("phone", who) for who in phones],
        entitled=[digest("resident", who) for who in entitled],
        draft=draft,
        sheets=[c.SheetName(pharmacy=pharmacy, day=TODAY, sheet=sheet) for sheet in sheets],
        waiting=[c.WaitingChunk(slot=slot, chunk=chunk) for slot, chunk in waiting.items()],
    )


def invite(
    terminal: str = TERMINAL, *, region: str = REGION, pharmacy: str = PHARMACY, code: str = "",
    expires_ms: int = NOON_MS + DAY_MS, key: str = "1",
) -> c.InviteTerminal:  # fmt: skip
    """Expects a terminal; its pairing code is named like it unless the test says otherwise."""
    return c.InviteTerminal(
        id=digest("invite", terminal, key),
        terminal=terminal,
        region=region,
        pharmacy=pharmacy,
        code_digest=digest("code", code or terminal),
        expires_ms=expires_ms,
    )


def pair(code: str = TERMINAL, *, key: str = "1") -> c.PairTerminal:
    return c.PairTerminal(
        id=digest("pair", code, key), code_digest=digest("code", code), token_digest=digest("token", code, key)
    )


def revoke(terminal: str = TERMINAL, *, key: str = "1") -> c.RevokeTerminal:
    return c.RevokeTerminal(id=digest("revoke", terminal, key), terminal=terminal)


# -- answers -----------------------------------------------------------------------------------------------------------


def confirmed(ordinal: int = 0, share: int | None = None) -> Facts:
    """`share` where it is not the public one."""
    return [[Fact.CONFIRMED, ordinal] if share is None else [Fact.CONFIRMED, ordinal, share]]


def released(units: Mapping[str, int], campaign: str = CAMPAIGN) -> Facts:
    """Units that became public, by slot."""
    facts = [[Fact.UNITS_RELEASED, campaign, slot, each] for slot, each in units.items()]
    return [[Fact.RELEASED, sum(units.values())], *facts]


def rejected(reason: Reason, left: int = 0) -> Facts:
    return [[Fact.REJECTED, reason, left]]
