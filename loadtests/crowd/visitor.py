"""One person of a crowd: documents, requests, and a booking that is tried until it is heard.

Runs in a greenlet of Locust: what looks blocking here waits for this person alone.
"""

import itertools
import random
import string
import time
from collections.abc import Mapping
from typing import Any, Final

import gevent
import msgspec
from locust.contrib.fasthttp import FastHttpSession

from loadtests.crowd.notes import NO_ANSWER, Notebook, WishHeard
from loadtests.residents import Resident
from loadtests.scenarios.plan import Plan

WAIT_S: Final = 10
MAX_RETRY_AFTER_S: Final = 10.0
UNANSWERED_PAUSE_S: Final = 1.0
LONGEST_POLL_S: Final = 10.0
"""A run is short: nobody waits longer between two polls, whatever was told."""
TICKET_CHARACTERS: Final = 59
ALPHABET: Final = string.ascii_letters + string.digits + "-_"
UNITS_ASKED: Final = ((1, 10), (2, 15), (3, 15), (4, 10), (5, 50))
"""Units and how many of a hundred people ask for them: most take what they may."""
BEFORE_THE_LOG: Final = frozenset({"sold_out", "not_open", "paused", "campaign_closed"})
EXPECTED: Final = frozenset({NO_ANSWER, 200, 201, 202, 303, 409, 503, 504})
FORGED: Final = frozenset({400, 403, 422})
"""What tickets that are none, and keys that belong to another wish, hear beside that."""

_decode = msgspec.json.Decoder().decode


class Visitor:
    """Somebody who wants masks."""

    def __init__(self, session: FastHttpSession, plan: Plan, person: Resident, number: int, notes: Notebook) -> None:
        self.plan: Final = plan
        self.number: Final = number
        self.notes: Final = notes
        self.chance: Final = random.Random(plan.seed * 1_000_003 + number)
        self._session = session
        self._person = person
        self._came_s = notes.now_s
        self._keys = itertools.count()

    @property
    def is_patient(self) -> bool:
        """Whether there is time to try again."""
        now_s = self.notes.now_s
        return now_s - self._came_s < self.plan.patience_s and now_s < self.plan.ends_s

    @property
    def is_there(self) -> bool:
        """Whether the run goes on."""
        return self.notes.now_s < self.plan.ends_s

    def pause(self, seconds: float) -> None:
        """For this person alone."""
        gevent.sleep(seconds)

    def ask(
        self, method: str, path: str, call: str, *, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], Any]:
        """Status (NO_ANSWER where none came), headers and content of an answer. Locust and the notes both count it."""
        began_s = time.perf_counter()
        with self._session.request(
            method, path, name=call, json=json, headers=dict(headers or {}), catch_response=True
        ) as answer:
            answer.success()  # what is right stands in the verdict: a 503 in a rush is
            status, content = answer.status_code, answer.content
        self.notes.heard(call, status, time.perf_counter() - began_s)
        if status not in EXPECTED and not (call == "forged" and status in FORGED):
            self.notes.unexpected[f"{call}: {status}"] += 1
        try:
            told = _decode(content) if content else None
        except msgspec.DecodeError:
            told = None
        return status, answer.headers or {}, told

    def choose(self) -> tuple[str, int]:
        """A slot and units."""
        weights = [(rank + 1) ** -self.plan.zipf for rank in range(len(self.plan.slots))]
        (slot,) = self.chance.choices(self.plan.slots, weights)
        (units,) = self.chance.choices([units for units, _ in UNITS_ASKED], [share for _, share in UNITS_ASKED])
        return slot, units

    def wish(self, slot: str, units: int, life: str) -> WishHeard:
        """A wish under a key of its own, noted."""
        key = f"crowd-{self.plan.seed}-{self.number}-{next(self._keys)}"
        wish = WishHeard(self.number, life, slot, units, key, wanted_s=self.notes.now_s)
        self.notes.wishes.append(wish)
        return wish

    def book(
        self,
        wish: WishHeard,
        *,
        keeps_to_times: bool = True,
        pause_s: float = UNANSWERED_PAUSE_S,
        ticket: str | None = None,
    ) -> None:
        """Send it until it is heard, or until patience ends. Who does not keep to times comes back after `pause_s`."""
        body = self.body(wish)
        headers = {"Idempotency-Key": wish.key, "Prefer": f"wait={WAIT_S}"}
        if ticket is not None:
            headers["Maskline-Ticket"] = ticket
        while self.is_patient:
            status, told_headers, told = self.ask("POST", "/v1/reservations", "book", json=body, headers=headers)
            if self.is_heard(wish, status, told):
                return
            after = told_headers.get("Retry-After", "") if keeps_to_times else ""
            self.pause(min(float(after or pause_s), MAX_RETRY_AFTER_S) * (1 + self.chance.random() / 4))

    def forge(self, wish: WishHeard, number: int) -> None:
        """One of a bot's requests: a ticket that is none, or the key of another wish."""
        ticket = "".join(self.chance.choices(ALPHABET, k=TICKET_CHARACTERS))
        headers = {"Idempotency-Key": f"{wish.key}-{number % 3}", "Maskline-Ticket": ticket}
        self.ask("POST", "/v1/reservations", "forged", json=self.body(wish), headers=headers)

    def wait_for_turn(self, drops_out: float) -> str | None:
        """Join the waiting room and poll; the ticket once it is admitted, None where patience ended before."""
        path, resident = f"/v1/campaigns/{self.plan.campaign}/tickets", {"resident": self._resident}
        ticket, best = "", None
        while self.is_patient and not ticket:
            status, _, told = self.ask("POST", path, "join", json=resident)
            ticket = told["ticket"] if status == 201 else ""
            self.pause(0.0 if ticket else UNANSWERED_PAUSE_S)
        while self.is_patient:
            status, _, told = self.ask("GET", f"/v1/tickets/{ticket}", "poll")
            if status == 200 and told["state"] == "admitted":
                return ticket
            if status == 200:
                ahead = told["ahead"]
                self.notes.worse += best is not None and (ahead is None or ahead > best)
                best = ahead
            after_s = float((told or {}).get("poll_after_s") or UNANSWERED_PAUSE_S)
            self.pause(min(after_s, LONGEST_POLL_S) * (3 if self.chance.random() < drops_out else 1))
        return None

    def at_desk(self, method: str, path: str, call: str, json: Any = None, key: str = "") -> tuple[int, Any]:
        """What a pharmacy's terminal asks of the counter; status and content."""
        headers = {"Authorization": f"Bearer {self.plan.token}"} | ({"Idempotency-Key": key} if key else {})
        status, _, told = self.ask(method, self.plan.counter + path, call, json=json, headers=headers)
        return status, told

    @property
    def _resident(self) -> dict[str, str]:
        return {"document_type": self._person.document_type, "document_number": self._person.document_number}

    def body(self, wish: WishHeard) -> dict[str, Any]:
        """Of the request for it."""
        return {
            "campaign": self.plan.campaign,
            "slot": wish.slot,
            "units": wish.units,
            "resident": self._resident,
            "phone": self._person.phone,
        }

    def is_heard(self, wish: WishHeard, status: int, told: Any) -> bool:
        """Note the answer to a booking; whether it is the last word on it."""
        if status in (200, 201, 202) and isinstance(told, dict):
            wish.id, wish.state = told["id"], told["state"]
        elif status == 409 and isinstance(told, dict):
            wish.reason = str(told.get("reason", ""))
            if "id" in told:
                wish.id, wish.state = told["id"], "rejected"
            elif wish.reason in BEFORE_THE_LOG:
                wish.state = "refused"
        if wish.state in ("unknown", "pending"):
            return False
        wish.heard_s = self.notes.now_s
        return True
