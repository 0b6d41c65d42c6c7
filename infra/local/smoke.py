"""`make smoke`: one booking's whole way through what `make up` started, by the addresses that people have.

Each run has a campaign of its own, in a region of its own, which is closed at the end. What is decided is kept, as
everything: the log grows by some fifty records.
"""

import http.client
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from infra.applying import apply_campaign
from infra.campaigns.demo import scaled
from infra.console_client import ConsoleClient
from infra.launcher.endpoints import read_endpoints
from infra.local.guards import AUDIT, access_in
from infra.local.keeper import LocalSettings
from infra.local.where import Where, read_where
from services.audit.main import run as run_verify
from services.audit.verify import VerifySettings
from services.domain.campaign import Campaign
from services.platform.campaign_files import load
from services.platform.errors import MasklineError
from services.sql.database import DatabaseSettings

CAMPAIGN_FILE: Final = Path(__file__).resolve().parents[1] / "campaigns" / "suikang-v1.yaml"
REGION: Final = "smoke-test"
UNITS: Final = 40
MORNING_HOUR: Final = 10
CALL_TIMEOUT_S: Final = 35.0
VISIBLE_TIMEOUT_S: Final = 15.0
SCRAPED_TIMEOUT_S: Final = 30.0
REPORTED_TIMEOUT_S: Final = 15.0
LOOK_S: Final = 0.2
WAIT: Final = {"Prefer": "wait=20"}

Tell = Callable[[str], None]


class NothingRuns(MasklineError):
    """No real tier runs in {folder}. Start it: `make up`."""


class SmokeFailed(MasklineError):
    """{what}: {told}"""

    exit_code = 1


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The last line."""

    smoke: str
    campaign: str
    decided_ms: float
    picked_up_ms: float
    targets_up: int
    verify: str
    seconds: float


def smoke(settings: LocalSettings, tell: Tell) -> None:
    """Raises NothingRuns, SmokeFailed, and what the console and verify raise."""
    folder = settings.folder.resolve()
    where = read_where(folder)
    if where is None:
        raise NothingRuns(folder=folder)
    began_s = time.monotonic()
    console = ConsoleClient.of(folder, where.edge["console"], ca=where.ca)
    campaign = _campaign()
    apply_campaign(console, campaign, why="make smoke")
    tell(f"Campaign {campaign.campaign} is applied, through nginx and the console.")
    booked, decided_ms = _book(where, campaign, tell)
    picked_up_ms = _pick_up(where, console, booked, tell)
    console.post(f"/v1/campaigns/{campaign.campaign}/close", {"why": "make smoke"})
    _report(console, campaign, tell)
    targets = _targets(where)
    tell(f"Prometheus sees all its {targets} targets up.")
    _verify(folder, tell)
    figures = Figures(
        smoke="ok",
        campaign=campaign.campaign,
        decided_ms=decided_ms,
        picked_up_ms=picked_up_ms,
        targets_up=targets,
        verify="ok",
        seconds=round(time.monotonic() - began_s, 1),
    )
    tell(msgspec.json.encode(figures).decode())


def _campaign() -> Campaign:
    """A small one that is open now, where it is morning: its slots of now do not end at midnight."""
    now_s = time.time()
    east_h = (MORNING_HOUR - int(now_s // 3600) + 12) % 24 - 12
    name = f"smoke-{time.strftime('%m%d-%H%M%S', time.gmtime(now_s))}-{secrets.token_hex(2)}"
    elsewhere = msgspec.structs.replace(
        load(CAMPAIGN_FILE), campaign=name, region=REGION, timezone=f"Etc/GMT{-east_h:+d}"  # POSIX counts westwards
    )  # fmt: skip
    return scaled(elsewhere, UNITS, int(now_s * 1000))


def _book(where: Where, campaign: Campaign, tell: Tell) -> tuple[dict[str, Any], float]:
    """The confirmed reservation, and how long its decision took, in ms."""
    now_ms = time.time() * 1000
    slot = next(slot for slot in campaign.slots if slot.starts_ms <= now_ms < slot.ends_ms)
    number = f"E{secrets.randbelow(10**8):08d}"
    wish = {
        "campaign": campaign.campaign,
        "slot": slot.id,
        "units": 1,
        "resident": {"document_type": "passport", "document_number": number},
        "phone": f"+86138{secrets.randbelow(10**8):08d}",
    }
    headers = {"Idempotency-Key": secrets.token_hex(16), **WAIT}
    deadline_s = time.monotonic() + VISIBLE_TIMEOUT_S
    while True:
        began_s = time.monotonic()
        status, told = _call(_front_door(where), "POST", "/v1/reservations", wish, headers, ca=where.ca)
        took_ms = round((time.monotonic() - began_s) * 1000, 1)
        is_new_to_the_door = told.get("reason") in ("unknown_campaign", "unknown_slot", "not_open")
        if not is_new_to_the_door or time.monotonic() > deadline_s:
            break
        time.sleep(LOOK_S)
    if status not in (200, 201) or told.get("state") != "confirmed":
        raise SmokeFailed(what="The booking was not confirmed", told=_in_words(status, told))
    tell(f"A booking through nginx is confirmed, {took_ms} ms after it was sent.")
    return told | {"pharmacy": slot.pharmacy}, took_ms


def _front_door(where: Where) -> str:
    """As residents come: by TLS, where its certificate is one that somebody has signed."""
    return where.edge["front_door_tls" if where.ca else "front_door"]


def _pick_up(where: Where, console: ConsoleClient, booked: dict[str, Any], tell: Tell) -> float:
    """A terminal is paired and the pass is shown; how long that took, in ms."""
    invited = console.post("/v1/terminals", {"pharmacy": booked["pharmacy"], "why": "make smoke"})
    counter = where.edge["counter"]
    code = {"pairing_code": invited["pairing_code"]}
    status, paired = _call(counter, "POST", "/v1/terminals", code, _key(), ca=where.ca)
    if status != 201:
        raise SmokeFailed(what="The terminal was not paired", told=_in_words(status, paired))
    terminal = {"Authorization": f"Bearer {paired['token']}"}
    began_s = time.monotonic()
    status, told = _call(counter, "POST", "/v1/pickups", {"pass": booked["pass"]}, terminal | _key(), ca=where.ca)
    took_ms = round((time.monotonic() - began_s) * 1000, 1)
    if status != 200 or told.get("state") != "picked_up":
        raise SmokeFailed(what="The masks were not handed out", told=_in_words(status, told))
    tell(f"The pass is taken at the counter, {took_ms} ms.")
    return took_ms


def _report(console: ConsoleClient, campaign: Campaign, tell: Tell) -> None:
    """What the ledger has of it comes out of PostgreSQL as it went in."""
    deadline_s = time.monotonic() + REPORTED_TIMEOUT_S
    while True:
        came = console.get(f"/v1/reports/{campaign.campaign}")["attendance"]
        if (came["confirmed"], came["picked_up"]) == (1, 1):
            break
        if time.monotonic() > deadline_s:
            raise SmokeFailed(what="The report does not tell of the booking", told=str(came))
        time.sleep(LOOK_S)
    tell("The campaign's report has the booking and its pick-up.")


def _targets(where: Where) -> int:
    """How many targets Prometheus has, when all are up."""
    deadline_s = time.monotonic() + SCRAPED_TIMEOUT_S
    while True:
        _, told = _call(where.prometheus, "GET", "/api/v1/targets", None, {})
        health = {each["scrapeUrl"]: each["health"] for each in told["data"]["activeTargets"]}
        if health and set(health.values()) == {"up"}:
            return len(health)
        if time.monotonic() > deadline_s:
            down = ", ".join(url for url, state in health.items() if state != "up") or "it has none"
            raise SmokeFailed(what=f"Prometheus does not see all targets after {SCRAPED_TIMEOUT_S:g} s", told=down)
        time.sleep(LOOK_S)


def _verify(folder: Path, tell: Tell) -> None:
    endpoints = read_endpoints(folder)
    database = DatabaseSettings(ledger=endpoints.ledger)
    access = access_in(folder, AUDIT)
    settings = VerifySettings(
        kafka=endpoints.kafka, redis=endpoints.redis, data=folder, database=database, access=access
    )
    if code := run_verify(lambda: settings, tell, as_json=False):
        raise SmokeFailed(what="maskline verify found differences", told=f"it ended with {code}; they stand above")


def _in_words(status: int, told: dict[str, Any]) -> str:
    return f"{status} {told.get('reason') or told.get('state')}"


def _key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(16)}


def _call(
    url: str, method: str, path: str, content: Any, headers: Mapping[str, str], *, ca: str = ""
) -> tuple[int, dict[str, Any]]:
    """Status and JSON of an answer. Raises SmokeFailed where there is none."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=CALL_TIMEOUT_S)
    if parts.scheme == "https":
        trusted = ssl.create_default_context(cafile=ca)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=CALL_TIMEOUT_S, context=trusted
        )
    body = None if content is None else msgspec.json.encode(content)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, msgspec.json.decode(answer.read(), type=dict[str, Any])
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
        why = str(error) or type(error).__name__
        raise SmokeFailed(what=f"{method} {url}{path} had no answer", told=why) from error
    finally:
        connection.close()
