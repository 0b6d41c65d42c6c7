"""One booking is followed from the front door to the ledger: by `maskline trace`, and by the lines of each process."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.audit.trace import place_in
from services.platform.campaign_files import load
from services.stream.place import Place
from tests.integration.cli_system import Ran, Up, maskline, small_campaign, up
from tests.integration.front_door_system import ask
from tests.integration.tiers import Tier

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
WITHIN_S = 20.0
NUMBER, PHONE = "E07654321", "13800138000"
ACTIONS = {"front-door": "written", "allocator": "decided", "ledger": "in_ledger"}
"""What a process says of the places that have passed it."""


@pytest.fixture
def system(tier: Tier, tmp_path: Path) -> Iterator[Up]:
    """One whose processes say which places have passed them."""
    with up(tmp_path / "data", *tier.options(tmp_path / "data"), env={"MASKLINE_LOG_LEVEL": "debug"}) as system:
        yield system


def booked(system: Up, folder: Path) -> str:
    """The status_url of a booking."""
    file = small_campaign(folder / "campaign")
    applied = maskline("campaign", "apply", file, "--data", system.data)
    assert applied.code == 0, applied.err
    url = system.endpoints["front_door"] + "/v1/reservations"
    resident = {"document_type": "passport", "document_number": NUMBER}
    body = {"campaign": "small", "slot": load(file).slots[0].id, "units": 1, "resident": resident, "phone": PHONE}
    deadline_s = time.monotonic() + WITHIN_S
    while True:  # the front door hears of the campaign a moment later
        status, headers, answer = ask(
            "POST", url, body, {"Idempotency-Key": "a-key", "Content-Type": "application/json"}
        )
        if status in (201, 202):
            return headers.get("Location") or str(json.loads(answer)["status_url"])
        assert time.monotonic() < deadline_s, answer
        time.sleep(0.1)


def until_whole(system: Up, text: str) -> Ran:
    deadline_s = time.monotonic() + WITHIN_S
    while (told := maskline("trace", text, "--data", system.data)).code == 1:
        assert time.monotonic() < deadline_s, told.out
    return told


def passed(system: Up, name: str, action: str, place: Place) -> bool:
    """Whether one of these processes says that this place has passed it."""
    for log in (system.data / "logs").glob(f"{name}*.log"):
        for line in log.read_text().splitlines():
            said = json.loads(line) if line.startswith("{") else {}
            is_of_it = (said.get("action"), said.get("partition")) == (action, place.partition)
            if is_of_it and said["offset"] <= place.offset <= said["to"]:
                return True
    return False


def test_a_booking_is_followed_from_the_front_door_to_the_ledger(system: Up, tmp_path: Path) -> None:
    status_url = booked(system, tmp_path)
    told = until_whole(system, status_url)
    place = place_in(status_url)
    assert told.code == 0, told.err
    first, written, decided, published, in_ledger = told.out.splitlines()
    assert first.startswith(f"{place.partition}:{place.offset} of log ")
    assert "written: reserve, campaign small" in written
    assert "decided: confirmed" in decided
    assert "published as event" in published
    assert in_ledger.endswith("in the ledger: 1 row")
    assert NUMBER not in told.out
    assert PHONE not in told.out
    assert maskline("trace", f"{place.partition}:{place.offset}", "--data", system.data).out == told.out
    assert [name for name, action in ACTIONS.items() if not passed(system, name, action, place)] == []
    away = maskline("trace", f"{place.partition}:99999999", "--data", system.data)
    assert (away.code, "The log has nothing at" in away.err) == (2, True)
