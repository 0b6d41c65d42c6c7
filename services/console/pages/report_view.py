"""What the page of a report looks like: tables, as the ledger has them."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from services.console.campaigns import SLOTS_A_PAGE
from services.console.contract import CampaignNumbers
from services.console.pages.markup import NOTHING, Html, fill, joined
from services.console.pages.views import View, Visitor
from services.console.report_contract import CampaignReport, ChannelReported, SlotReported
from services.platform.texts import text_of


class ReportView(View):
    """The page in one language."""

    def report(self, visitor: Visitor, numbers: CampaignNumbers, told: CampaignReport, first: int) -> bytes:
        """One campaign, as of the last event in the ledger; a page of its slots."""
        waits, came = told.waits, told.attendance
        content = fill(
            "report",
            self._words,
            campaign_title=self._title(numbers),
            name=told.campaign,
            at=self._moment(told.as_of),
            behind_number=self._number(told.behind),
            came_rows=self._facts(
                confirmed=came.confirmed,
                promoted=came.promoted,
                cancelled=came.cancelled,
                lost_to_withdrawal=came.withdrawn,
                picked_up=came.picked_up,
                picked_up_after_all=came.picked_up_after_all,
                no_shows=came.no_shows,
                handed_out_twice=came.conflicts,
                pick_up_rate=None if came.pick_up_rate is None else f"{came.pick_up_rate:.1%}",
            ),
            wait_rows=self._facts(
                waitlisted=waits.waitlisted,
                promoted=waits.promoted,
                waiting_ended=waits.ended,
                half_within=self._span_of(waits.half_within_s),
                nine_in_ten_within=self._span_of(waits.nine_in_ten_within_s),
                longest_wait=self._span_of(waits.longest_s),
            ),
            channel_rows=joined(map(self._channel, told.channels)),
            refusal_rows=self._rows(
                (text_of(each.reason, self.language, {}).title, self._number(each.bookings)) for each in told.refusals
            ),
            reported_rows=joined(map(self._slot, told.slots[first : first + SLOTS_A_PAGE])),
            none=NOTHING if told.slots else fill("empty", {}, what=self._words["nothing_reported"]),
            page_links=self._links(told, first),
        )
        heading = f"{self._words['report']}: {self._title(numbers)}"
        return self._frame(heading, NOTHING, content, visitor, "/")

    def _links(self, told: CampaignReport, first: int) -> Html:
        """To the first page, and to the next one."""
        here, following = f"/campaigns/{quote(told.campaign)}/report", first + SLOTS_A_PAGE
        links = [self._link(here, self._words["first_slots"])] if first else []
        if following < len(told.slots):
            links.append(self._link(f"{here}?first={following}", self._words["more_slots"]))
        return joined(links)

    def _facts(self, **facts: int | str | None) -> Html:
        """Words and numbers, a row each."""
        return self._rows(
            (self._words[word], told if isinstance(told, str) else self._number(told)) for word, told in facts.items()
        )

    def _rows(self, rows: Iterable[tuple[str, str]]) -> Html:
        return joined(self._row(*row) for row in rows)

    def _channel(self, told: ChannelReported) -> Html:
        door, share = self._words[f"channel_{told.channel}"], self._words[f"share_{told.share}"]
        numbers = (told.confirmed, told.units, told.waitlisted, told.refused)
        return self._row(door, share, *map(self._number, numbers))

    def _slot(self, told: SlotReported) -> Html:
        sold_out = "–" if told.sold_out_at is None else self._moment(told.sold_out_at)
        numbers = (told.bookings, told.units, told.turned_away, told.picked_up_units, told.no_show_units)
        return self._row(told.slot, self._moment(told.first_booked_at), sold_out, *map(self._number, numbers))

    def _span_of(self, seconds: float | None) -> str | None:
        """Hours, minutes and seconds, as a clock has them."""
        if seconds is None:
            return None
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
