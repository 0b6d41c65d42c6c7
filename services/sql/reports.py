"""What the ledger's rows say of a campaign: each function is one query or two, and reads only.

Times are those of the log, as its records have them. What no event says, no report says:
- How long a decision took: the fold has no clock. The metric `maskline_decision_seconds` has it.
- Who was refused before the log, by a door that knew that nothing was left: only counters of the doors have it. So a
  slot counts as sold out from its last booking before the first refusal *in the log* for want of units; one that nobody
  asked for after its last unit does not count.
- Refusals of commands that name a pass and no campaign (pick-up, cancel, change of slot).
- Hand-outs without a proof: they name no reservation.
"""

from typing import Any, Final, NamedTuple

import msgspec
import sqlalchemy as sa

from services.sql.tables import EVENTS

TAKING: Final = ("confirmed", "promoted", "slot_changed", "moved")
"""Events by which somebody gets units of the slot that they name."""
NONE_LEFT: Final = ("slot_full", "sold_out")
CAME_IN_VAIN: Final = ("other_pharmacy", "wrong_time")
"""Why a hand-out told later is late although the reservation stood."""
EXPIRED: Final = "expired"
PER_MILLE: Final = (500, 900, 1000)

E: Final = EVENTS.c


class SlotReport(msgspec.Struct, frozen=True, kw_only=True):
    """One slot. Units as they were given out, whatever became of them afterwards; times in ms, None where never."""

    slot: str
    bookings: int
    units: int
    first_booked_ms: int | None
    sold_out_ms: int | None
    turned_away: int
    picked_up_units: int
    no_show_units: int


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """Bookings through one door: `resident` (page, API) or `desk` (a terminal books for somebody), from one share."""

    channel: str
    share: str
    confirmed: int
    units: int
    waitlisted: int
    refused: int


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """The waiting lists: who came on one, who got a place, for whom it ended; how long those waited who got one."""

    waitlisted: int
    promoted: int
    ended: int
    half_within_ms: int | None
    nine_in_ten_within_ms: int | None
    longest_ms: int | None


class Attendance(msgspec.Struct, frozen=True, kw_only=True):
    """Reservations, by what became of them.

    `picked_up`: handed out while the reservation stood, whenever it was told. `picked_up_after_all`: after it had been
    cancelled, withdrawn or expired. `no_shows`: expired, and nobody has told a hand-out since. `conflicts`: handed out
    twice.
    """

    confirmed: int
    promoted: int
    cancelled: int
    withdrawn: int
    picked_up: int
    picked_up_after_all: int
    no_shows: int
    conflicts: int

    @property
    def pick_up_rate(self) -> float | None:
        """Of those who could come until the end; None where nobody's time is over yet."""
        due = self.picked_up + self.no_shows
        return self.picked_up / due if due else None


def as_of(connection: sa.Connection, partition: int) -> tuple[int, int] | None:
    """Offset and time in ms of the last event that has its row; None for a ledger that has none."""
    query = sa.select(E.log_offset, E.at_ms).where(E.partition == partition)
    row = connection.execute(query.order_by(E.log_offset.desc(), E.event_index.desc()).limit(1)).first()
    return None if row is None else (row.log_offset, row.at_ms)


def slots(connection: sa.Connection, campaign: str) -> list[SlotReport]:
    """Every slot that somebody asked for, by name."""
    of_campaign = E.campaign == campaign
    takings = connection.execute(_by_slot(sa.and_(of_campaign, E.type.in_(TAKING)))).all()
    taken = {row.slot: row for row in takings}
    turned = _turned_away(connection, campaign)
    outcomes = sa.select(
        E.slot, _kept_pick_ups(E.units).label("picked_up"), _no_shows(E.units).label("no_shows")
    ).where(of_campaign)
    became = {row.slot: row for row in connection.execute(outcomes.group_by(E.slot))}
    return [
        SlotReport(
            slot=slot,
            bookings=int(taken[slot].events) if slot in taken else 0,
            units=int(taken[slot].units) if slot in taken else 0,
            first_booked_ms=taken[slot].at_ms if slot in taken else None,
            sold_out_ms=turned[slot].sold_out_ms if slot in turned else None,
            turned_away=turned[slot].people if slot in turned else 0,
            picked_up_units=int(became[slot].picked_up),
            no_show_units=int(became[slot].no_shows),
        )
        for slot in sorted(taken.keys() | turned.keys())
    ]


def channels(connection: sa.Connection, campaign: str) -> list[Channel]:
    """By door and share."""
    channel = sa.case((E.terminal == "", "resident"), else_="desk").label("channel")
    query = (
        sa.select(
            channel,
            E.share,
            _count(E.type == "confirmed").label("confirmed"),
            _sum(E.units, E.type == "confirmed").label("units"),
            _count(E.type == "waitlisted").label("waitlisted"),
            _count(E.type.in_(("rejected", "refused"))).label("refused"),
        )
        .where(E.campaign == campaign, E.command == "reserve", E.event_index == 0, E.type != "repeated")
        .group_by(channel, E.share)
        .order_by(channel, E.share)
    )
    return [Channel(**_integers(row)) for row in connection.execute(query)]


def refusals(connection: sa.Connection, campaign: str) -> dict[str, int]:
    """Bookings that were refused, by reason; those that had waited until the end are not among them."""
    refused = (E.campaign == campaign, E.command == "reserve", E.type.in_(("rejected", "refused")))
    query = sa.select(E.reason, sa.func.count()).where(*refused).group_by(E.reason).order_by(E.reason)
    return {reason: int(count) for reason, count in connection.execute(query).all()}


def waits(connection: sa.Connection, campaign: str) -> Waits:
    """Of the waiting lists."""
    counts = _by_type(connection, campaign)
    began, ended = EVENTS.alias("began"), EVENTS.alias("ended")
    waited = (
        sa.select((ended.c.at_ms - began.c.at_ms).label("waited_ms"))
        .join_from(began, ended, sa.and_(ended.c.campaign == began.c.campaign, ended.c.pass_no == began.c.pass_no))
        .where(began.c.campaign == campaign, began.c.type == "waitlisted", ended.c.type == "promoted")
        .order_by("waited_ms")
    )
    promoted = counts.get("promoted", 0)
    ranks = [max(0, -(-promoted * each // 1000) - 1) for each in PER_MILLE]  # the nearest rank
    found = [connection.scalar(waited.offset(rank).limit(1)) if promoted else None for rank in ranks]
    return Waits(
        waitlisted=counts.get("waitlisted", 0),
        promoted=promoted,
        ended=counts.get("waiting_ended", 0),
        half_within_ms=found[0],
        nine_in_ten_within_ms=found[1],
        longest_ms=found[2],
    )


def attendance(connection: sa.Connection, campaign: str) -> Attendance:
    """What became of reservations."""
    counts = _by_type(connection, campaign)
    row = connection.execute(
        sa.select(
            _kept_pick_ups(sa.literal(1)).label("picked_up"),
            _count(sa.and_(E.type == "picked_up_late", E.reason.not_in(CAME_IN_VAIN))).label("after_all"),
            _no_shows(sa.literal(1)).label("no_shows"),
        ).where(E.campaign == campaign)
    ).one()
    return Attendance(
        confirmed=counts.get("confirmed", 0),
        promoted=counts.get("promoted", 0),
        cancelled=counts.get("cancelled", 0),
        withdrawn=counts.get("withdrawn", 0),
        picked_up=int(row.picked_up or 0),
        picked_up_after_all=int(row.after_all or 0),
        no_shows=int(row.no_shows or 0),
        conflicts=counts.get("pick_up_conflict", 0),
    )


# ---------------------------------------------------------------------------------------------------------------------


class _Turned(NamedTuple):
    """Of a slot: those who got nothing because nothing was left, and when the last one before them got some."""

    people: int
    sold_out_ms: int


def _turned_away(connection: sa.Connection, campaign: str) -> dict[str, _Turned]:
    """By slot. One that never gave out anything counts as sold out when it was asked for."""
    nothing = sa.and_(E.type == "rejected", E.reason.in_(NONE_LEFT), E.left_units == 0)
    in_vain = sa.and_(E.campaign == campaign, E.share == "public", sa.or_(nothing, E.type == "waitlisted"))
    first = _by_slot(in_vain).subquery()
    before = sa.and_(
        E.campaign == campaign, E.type.in_(TAKING), E.slot == first.c.slot, E.log_offset < first.c.log_offset
    )
    last = (
        sa.select(E.partition, E.slot, sa.func.max(E.log_offset).label("log_offset"))
        .join_from(EVENTS, first, before)
        .group_by(E.partition, E.slot)
    )
    sold_out = {row.slot: row.at_ms for row in connection.execute(_with_times(last.subquery()))}
    return {
        row.slot: _Turned(int(row.events), sold_out.get(row.slot, row.at_ms))
        for row in connection.execute(_by_slot(in_vain))
    }


def _by_slot(which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Of these events, by slot: how many, their units, and place and time of the first."""
    counts = (
        sa.select(
            E.partition,
            E.slot,
            sa.func.min(E.log_offset).label("log_offset"),
            sa.func.count().label("events"),
            sa.func.sum(E.units).label("units"),
        )
        .where(which)
        .group_by(E.partition, E.slot)
    )
    return _with_times(counts.subquery())


def _with_times(places: sa.Subquery) -> sa.Select[Any]:
    """Rows with a partition and an offset, and the time of that offset in ms."""
    at_place = sa.and_(E.partition == places.c.partition, E.log_offset == places.c.log_offset, E.event_index == 0)
    return sa.select(places, E.at_ms).join_from(places, EVENTS, at_place)


def _by_type(connection: sa.Connection, campaign: str) -> dict[str, int]:
    query = sa.select(E.type, sa.func.count()).where(E.campaign == campaign).group_by(E.type)
    return {kind: int(count) for kind, count in connection.execute(query).all()}


def _kept_pick_ups(amount: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """Hand-outs of reservations that stood, less those that were taken back."""
    late = sa.and_(E.type == "picked_up_late", E.reason.in_(CAME_IN_VAIN))
    return sa.func.sum(
        sa.case((sa.or_(E.type == "picked_up", late), amount), (E.type == "pick_up_undone", -amount), else_=0)
    )


def _no_shows(amount: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """What expired, less what had been handed out and was told later."""
    told_later = sa.and_(E.type == "picked_up_late", E.reason == EXPIRED)
    return sa.func.sum(sa.case((E.type == EXPIRED, amount), (told_later, -amount), else_=0))


def _count(of: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((of, 1), else_=0))


def _sum(amount: sa.ColumnElement[int], of: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case((of, amount), else_=0))


def _integers(row: sa.Row[Any]) -> dict[str, Any]:
    """PostgreSQL's sums of integers are decimals."""
    return {name: value if isinstance(value, str) else int(value) for name, value in row._mapping.items()}
