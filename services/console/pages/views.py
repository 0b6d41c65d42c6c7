"""What the pages look like: from numbers and answers to markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple
from urllib.parse import quote, urlencode

from services.console.contract import (
    AuditEntry,
    AuditTrail,
    CampaignNumbers,
    Invited,
    LiveNow,
    PhaseChanged,
    QuotaChanged,
    SlotList,
    SlotWithdrawn,
    TerminalList,
    TerminalNumbers,
    WithdrawalOutlook,
)
from services.console.pages.markup import NOTHING, Html, fill, joined, stylesheet
from services.console.pages.words import NAMES, words
from services.console.users import Role
from services.platform.forms import FormIncomplete, FormOld
from services.platform.languages import LANGUAGES, Language
from services.platform.problems import Problem, word_of
from services.platform.texts import text_of

Kind = Literal["good", "bad", "plain"]
PLACES: Final = {"/": "now", "/terminals": "terminals", "/audit": "audit"}
VERBS: Final = {"scheduled": ("open", "close"), "open": ("pause", "close"), "paused": ("resume", "close")}
"""What an operator may do in each phase; from closed only `open`."""
_LABELS: Final = {"verb": "change_phase", "to": "move_to"}
"""Fields whose label is another word."""


@dataclass(frozen=True)
class Visitor:
    """Who looks at the page, and the nonce of its forms."""

    name: str
    role: Role
    nonce: str


class Place(NamedTuple):
    """A pharmacy that a terminal can be invited to."""

    region: str
    pharmacy: str
    name: str


class View:
    """The pages in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._words = words(language)

    # -- whole pages ------------------------------------------------------------------------------------------------

    def sign_in(self, card: Html) -> bytes:
        """Where somebody says who they are."""
        return self._frame(self._words["sign_in"], card, fill("sign_in", self._words))

    def message(self, visitor: Visitor, card: Html) -> bytes:
        """Nothing but a card: where the page itself cannot be made."""
        return self._frame(self._words["title"], card, NOTHING, visitor)

    def overview(self, visitor: Visitor, now: LiveNow) -> bytes:
        """Every campaign and every line, loaded again every five seconds."""
        rows = [
            self._row(
                one.partition,
                self._number(one.position),
                self._number(one.log_end),
                self._number(one.lag),
                self._moment(one.last_tick),
            )
            for one in now.partitions
        ]
        empty = fill("empty", {}, what=self._words["no_campaigns"])
        content = fill(
            "overview",
            self._words,
            at=self._moment(now.at),
            campaign_cards=joined(map(self._campaign_card, now.campaigns)) or empty,
            partition_rows=joined(rows),
        )
        return self._frame(self._words["now"], NOTHING, content, visitor, "/", fill("refresh", {}))

    def campaign(
        self, visitor: Visitor, card: Html, told: CampaignNumbers, slots: SlotList, pharmacy: str, first: int
    ) -> bytes:
        """One campaign: its numbers, what can be done to it, and its slots."""
        rows = [
            self._row(
                f"{one.slot} ({self._words['withdrawn']})" if one.withdrawn else one.slot,
                one.pharmacy,
                self._span(one.starts_at, one.ends_at),
                one.quota,
                one.taken,
                one.left,
                one.waiting,
                one.to_withdraw,
            )
            for one in slots.slots
        ]
        content = fill(
            "campaign",
            self._words,
            campaign_title=self._title(told),
            name=told.campaign,
            region_name=told.region,
            partition_number=told.partition,
            phase=told.phase,
            phase_word=self._words[f"phase_{told.phase}"],
            numbers=self._numbers(told),
            window_lines=joined(
                fill("window", {}, window=self._span(one.opens_at, one.closes_at)) for one in told.windows
            ),
            forms=self._campaign_forms(visitor, told),
            chosen_pharmacy=pharmacy,
            slot_rows=joined(rows),
            page_links=self._slot_pages(told.campaign, pharmacy, first, slots.next),
        )
        return self._frame(self._title(told), card, content, visitor, "/")

    def terminals(self, visitor: Visitor, card: Html, told: TerminalList, places: Sequence[Place]) -> bytes:
        """All terminals, and a form for a new one; it asks for the region where there are several."""
        regions = sorted({place.region for place in places})
        region_field = fill("region_field", self._words, regions=_options((one, one) for one in regions))
        pharmacies = {place.pharmacy: place.name for place in places}
        form = fill(
            "invite_form",
            self._words,
            nonce=visitor.nonce,
            pharmacies=_options(sorted(pharmacies.items())),
            region_field=region_field if len(regions) > 1 else NOTHING,
        )
        content = fill(
            "terminals",
            self._words,
            invite_form=form if visitor.role.may_change else self._look_only(),
            terminal_rows=joined(self._terminal(visitor, one) for one in told.terminals),
            none=NOTHING if told.terminals else fill("empty", {}, what=self._words["no_terminals"]),
        )
        return self._frame(self._words["terminals"], card, content, visitor, "/terminals")

    def audit(self, visitor: Visitor, told: AuditTrail, partitions: int, is_newest: bool) -> bytes:
        """Who changed what, newest first."""
        links = [
            self._link(f"/audit?partition={number}", str(number), number == told.partition)
            for number in range(partitions)
        ]
        pages = [] if is_newest else [self._link(f"/audit?partition={told.partition}", self._words["newest"])]
        if told.before is not None:
            older = f"/audit?partition={told.partition}&before={told.before}"
            pages.append(self._link(older, self._words["older"]))
        content = fill(
            "audit",
            self._words,
            partition_links=joined(links),
            entries=joined(map(self._entry, told.entries)),
            none=NOTHING if told.entries else fill("empty", {}, what=self._words["no_entries"]),
            page_links=joined(pages),
        )
        return self._frame(self._words["audit"], NOTHING, content, visitor, "/audit")

    # -- answers on top of a page -----------------------------------------------------------------------------------

    def phase_changed(self, told: PhaseChanged, verb: str) -> Html:
        """Green: it is so now."""
        return self._card("good", self._words[f"done_{verb}"], f"{self._words['done_phase_detail']} ({told.campaign})")

    def quota_changed(self, told: QuotaChanged) -> Html:
        """Green: the slot's new numbers."""
        detail = self._words["quota_detail"].format(slot=told.slot, quota=told.quota, left=told.left)
        return self._card("good", self._words["quota_title"], detail)

    def withdrawal_outlook(self, told: WithdrawalOutlook) -> Html:
        """What it would do; red where it would be refused."""
        detail = self._words["outlook_detail"].format(
            slot=told.slot, cut=told.units_cut, people=told.people, units=told.units_of_people
        )
        if told.reason is None:
            return self._card("plain", self._words["outlook_title"], detail)
        why = text_of(told.reason, self.language, {}).title
        refused = self._words["outlook_refused"].format(reason=why)
        return self._card("bad", self._words["outlook_title"], f"{detail} {refused}")

    def slot_withdrawn(self, told: SlotWithdrawn) -> Html:
        """Green: it is under way."""
        title = self._words["withdrawn_title" if told.to is None else "moving_title"]
        cut = told.public_cut + told.assisted_cut + told.reserve_cut
        detail = self._words["withdrawn_detail"].format(cut=cut, units=told.units_of_people)
        return self._card("good", title.format(slot=told.slot, to=told.to), detail)

    def invited(self, told: Invited) -> Html:
        """The pairing code, once."""
        title = self._words["code_title"].format(code=told.pairing_code)
        detail = self._words["code_detail"].format(
            terminal=told.terminal, pharmacy=told.pharmacy, expires_at=self._moment(told.expires_at)
        )
        return self._card("good", title, detail)

    def revoked(self, told: TerminalNumbers) -> Html:
        """A terminal may do nothing any more."""
        title = self._words["revoked_title"].format(terminal=told.terminal)
        return self._card("good", title, self._words["revoked_detail"])

    def refused(self, problem: Problem) -> Html:
        """Red: why not, and what to do."""
        text = text_of(word_of(problem.reason), self.language, problem.members)
        return self._card("bad", text.title, problem.detail or text.detail)

    def not_done(self, word: str) -> Html:
        """Red, in the page's own words: `wrong` or `locked`."""
        return self._card("bad", self._words[f"{word}_title"], self._words[f"{word}_detail"])

    def incomplete(self, error: FormOld | FormIncomplete) -> Html:
        """Red, with every field that has to be looked at again."""
        if isinstance(error, FormOld):
            return self._card("bad", self._words["form_old"], self._words["form_old_detail"])
        labels = dict.fromkeys(self._words.get(_LABELS.get(field, field), field) for field in error.fields)
        detail = f"{self._words['incomplete_detail']} {self._words['look_again']}: {', '.join(labels)}"
        return self._card("bad", self._words["incomplete"], detail)

    # ---------------------------------------------------------------------------------------------------------------

    def _frame(
        self,
        heading: str,
        card: Html,
        content: Html,
        visitor: Visitor | None = None,
        place: str = "",
        refresh: Html = NOTHING,
    ) -> bytes:
        languages = [self._link(f"/language/{one}", NAMES[one], one == self.language) for one in LANGUAGES]
        navigation = whoami = NOTHING
        if visitor is not None:
            links = [self._link(path, self._words[word], path == place) for path, word in PLACES.items()]
            navigation = fill("navigation", self._words, links=joined(links))
            role = self._words[f"role_{visitor.role}"]
            whoami = fill("whoami", self._words, nonce=visitor.nonce, who=visitor.name, role=role)
        page = fill(
            "frame",
            self._words,
            html_lang=self.language,
            heading=heading,
            refresh=refresh,
            stylesheet=stylesheet()[0],
            navigation=navigation,
            whoami=whoami,
            card=card,
            content=content,
            languages=joined(languages),
        )
        return page.encode()

    def _card(self, kind: Kind, title: str, detail: str) -> Html:
        return fill("card", {}, kind=kind, card_title=title, detail=detail)

    def _look_only(self) -> Html:
        return fill("empty", {}, what=self._words["look_only"])

    def _campaign_card(self, told: CampaignNumbers) -> Html:
        return fill(
            "campaign_card",
            {},
            name=told.campaign,
            campaign_title=self._title(told),
            phase=told.phase,
            phase_word=self._words[f"phase_{told.phase}"],
            region_name=told.region,
            numbers=self._numbers(told),
        )

    def _numbers(self, told: CampaignNumbers) -> Html:
        given_out = told.units - told.units_left
        part = given_out / told.units if told.units else 1.0
        return fill(
            "numbers",
            self._words,
            percent=round(100 * part),
            taken_width=round(1000 * part),
            left_number=self._number(told.units_left),
            units_number=self._number(told.units),
            confirmed_number=self._number(told.confirmed),
            picked_up_number=self._number(told.picked_up),
            rejected_number=self._number(told.rejected),
            cancelled_number=self._number(told.cancelled),
            waiting_numbers=self._waiting_numbers(told),
        )

    def _waiting_numbers(self, told: CampaignNumbers) -> Html:
        """Nothing where nobody has ever waited: most campaigns have no list."""
        if not told.waitlisted:
            return NOTHING
        waitlisted, promoted = self._number(told.waitlisted), self._number(told.promoted)
        return fill("waiting_numbers", self._words, waitlisted_number=waitlisted, promoted_number=promoted)

    def _campaign_forms(self, visitor: Visitor, told: CampaignNumbers) -> Html:
        if not visitor.role.may_change:
            return self._look_only()
        verbs = [
            fill(
                "verb",
                {},
                verb=verb,
                verb_name=self._words[verb],
                verb_hint=self._words[f"{verb}_hint"],
                kind="stop" if verb == "close" else "",
            )
            for verb in VERBS.get(told.phase, ("open",))
        ]
        return fill("campaign_forms", self._words, name=told.campaign, nonce=visitor.nonce, verbs=joined(verbs))

    def _slot_pages(self, name: str, pharmacy: str, first: int, following: int | None) -> Html:
        links = []
        for offset, word in ((0 if first else None, "first_slots"), (following, "more_slots")):
            if offset is not None:
                query = urlencode({"first": offset, **({"pharmacy": pharmacy} if pharmacy else {})})
                links.append(self._link(f"/campaigns/{quote(name)}?{query}", self._words[word]))
        return joined(links)

    def _terminal(self, visitor: Visitor, told: TerminalNumbers) -> Html:
        form = NOTHING
        if told.state != "revoked" and visitor.role.may_change:
            form = fill("revoke_form", self._words, nonce=visitor.nonce, name=told.terminal)
        state = self._words[f"state_{told.state}"]
        return self._row(told.terminal, told.pharmacy, state, self._moment(told.since), form)

    def _entry(self, told: AuditEntry) -> Html:
        numbers = (f"→ {told.to}" if told.to else "", f"{told.change:+}" if told.change else "")
        about = [told.campaign, told.slot, told.terminal, told.pharmacy, *numbers]
        what = " · ".join([told.command, *filter(None, about)])
        outcome = f"{told.outcome}: {told.reason}" if told.reason else told.outcome
        return self._row(self._moment(told.at), told.actor, what, told.why, outcome)

    def _row(self, first: object, *others: object) -> Html:
        cells = [fill("head_cell", {}, value=first), *(fill("cell", {}, value=value) for value in others)]
        return fill("row", {}, cells=joined(cells))

    def _link(self, href: str, name: str, is_here: bool = False) -> Html:
        return fill("link", {}, href=href, name=name, current=Html(' aria-current="page"') if is_here else NOTHING)

    def _title(self, told: CampaignNumbers) -> str:
        return told.title.get(self.language) or next(iter(told.title.values()), told.campaign)

    def _number(self, number: int | None) -> str:
        return self._words["not_known"] if number is None else f"{number:,}"

    def _moment(self, time: str | None) -> str:
        """`2020-02-01T12:00:00+00:00` as people read it."""
        if time is None:
            return self._words["not_known"]
        zone = " UTC" if time.endswith("+00:00") else ""
        return f"{time[:10]} {time[11:19]}{zone}"

    def _span(self, starts: str, ends: str) -> str:
        """From and to, the day once where it is the same."""
        same_day = starts[:10] == ends[:10]
        return f"{starts[:10]} {starts[11:16]} – {ends[11:16] if same_day else f'{ends[:10]} {ends[11:16]}'}"


def _options(choices: Iterable[tuple[str, str]]) -> Html:
    return joined(fill("option", {}, value=value, name=name) for value, name in choices)
