"""What a report says as JSON."""

from __future__ import annotations

from typing import Literal

from services.console.contract import Result, Time


class SlotReported(Result, frozen=True, kw_only=True):
    """A slot that somebody asked for. `units` were given out, whatever became of them afterwards.

    `sold_out_at`: when the last one got some before the first who got nothing or had to wait; null where the log has
    no such person. People whom a door refused before the log are not in it.
    """

    slot: str
    bookings: int
    units: int
    first_booked_at: Time | None
    sold_out_at: Time | None
    turned_away: int
    picked_up_units: int
    no_show_units: int


class ChannelReported(Result, frozen=True, kw_only=True):
    """Bookings of residents themselves, or of desks for somebody, by the share that they came from."""

    channel: Literal["resident", "desk"]
    share: Literal["public", "assisted", "reserve"]
    confirmed: int
    units: int
    waitlisted: int
    refused: int


class RefusalsReported(Result, frozen=True, kw_only=True):
    """How many bookings were refused for a reason."""

    reason: str
    bookings: int


class WaitsReported(Result, frozen=True, kw_only=True):
    """The waiting lists; seconds from joining one to a place, of those who got one, null where nobody has."""

    waitlisted: int
    promoted: int
    ended: int
    half_within_s: float | None
    nine_in_ten_within_s: float | None
    longest_s: float | None


class AttendanceReported(Result, frozen=True, kw_only=True):
    """What became of reservations. `picked_up_after_all`: handed out after they were cancelled, withdrawn or expired.

    `pick_up_rate`: of those who came or whose time is over, how many came; null where there are none.
    """

    confirmed: int
    promoted: int
    cancelled: int
    withdrawn: int
    picked_up: int
    picked_up_after_all: int
    no_shows: int
    conflicts: int
    pick_up_rate: float | None


class CampaignReport(Result, frozen=True, kw_only=True):
    """A campaign from its ledger, as of the last event that it has (null: it has none yet).

    `behind`: records that are decided and not in the ledger yet; null where that is not known just now. How long
    decisions took is not in the log: the metric `maskline_decision_seconds` tells.
    """

    campaign: str
    as_of: Time | None
    behind: int | None
    slots: list[SlotReported]
    channels: list[ChannelReported]
    refusals: list[RefusalsReported]
    waits: WaitsReported
    attendance: AttendanceReported
