"""A campaign file with a waiting list, from `maskline campaign check` to `maskline verify`, on a system that runs."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.domain.days import day_of, rfc3339
from tests.integration.cli_system import Up, maskline, up
from tests.integration.front_door_system import ask
from tests.integration.tiers import Tier
from tests.morning import WHERE

PROMOTED_WITHIN_S = 10.0
CAMPAIGN = """\
campaign: waits
region: guangzhou
timezone: {zone}
title: {{en: Masks with a waiting list, zh-Hans: 可候补的口罩预约}}
controller: {{name: Health Commission, contact: privacy@masks.example}}
appeal_contact: {{phone: "12345"}}
mode: first_come
windows:
  - {{opens_at: {opens_at}, closes_at: {closes_at}}}
rules:
  units_max: 5
  document_types: [passport]
  waiting_list: {{per_mille: 1000, promote_until_h: 2}}
  change_until_h: 1
pharmacies: pharmacies.csv
slots: slots.csv
"""


@pytest.fixture(scope="module")
def system(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("waiting")
    with up(folder / "data", *tier.options(folder / "data")) as running:
        yield running


def campaign_file(folder: Path) -> Path:
    """Two slots of tomorrow morning, three units and two."""
    today = day_of(int(time.time() * 1000), WHERE)

    def at(hours: int) -> str:
        return rfc3339(today.to_ms + hours * 3_600_000, WHERE)

    file = folder / "waits.yaml"
    text = CAMPAIGN.format(zone=WHERE.key, opens_at=rfc3339(today.from_ms, WHERE), closes_at=at(24))
    file.write_text(text, "utf-8")
    (folder / "pharmacies.csv").write_text("id,name\np-1,First\np-2,Second\n", "utf-8")
    slots = f"s-1,p-1,{at(9)},{at(12)},3\ns-2,p-2,{at(9)},{at(12)},2\n"
    (folder / "slots.csv").write_text("id,pharmacy,starts_at,ends_at,units\n" + slots, "utf-8")
    return file


def book(system: Up, number: int, units: int, slot: str = "s-1") -> tuple[int, Any]:
    """Somebody books and waits for the decision."""
    body = {
        "campaign": "waits",
        "slot": slot,
        "units": units,
        "resident": {"document_type": "passport", "document_number": f"E{number:08d}"},
        "phone": f"+86138{number:08d}",
    }
    headers = {"Idempotency-Key": f"person-{number}", "Prefer": "wait=10"}
    status, _, answer = ask("POST", f"{system.endpoints['front_door']}/v1/reservations", body, headers)
    return status, json.loads(answer)


def until(system: Up, told: Any, state: str) -> Any:
    """What a reservation tells once it is in this state."""
    url = f"{system.endpoints['front_door']}/v1/reservations/{told['id']}"
    deadline_s = time.monotonic() + PROMOTED_WITHIN_S
    while True:
        _, _, answer = ask("GET", url)
        now = json.loads(answer)
        if now["state"] == state:
            return now
        assert time.monotonic() < deadline_s, now
        time.sleep(0.05)


def test_a_freed_place_goes_to_the_first_who_waits_and_verify_finds_nothing(system: Up, tmp_path: Path) -> None:
    file = campaign_file(tmp_path)
    checked = maskline("campaign", "check", file)
    assert checked.code == 0, checked
    applied = maskline("campaign", "apply", file, "--data", system.data, "--why", "a test")
    assert applied.code == 0, applied
    exported = maskline("campaign", "export", "waits", tmp_path / "again.yaml", "--data", system.data)
    assert exported.code == 0, exported
    assert "waiting_list" in (tmp_path / "again.yaml").read_text("utf-8")

    door = system.endpoints["front_door"]
    full = book(system, 1, 3)
    waits, behind, refused = (book(system, number, units) for number, units in ((2, 2), (3, 1), (4, 1)))
    assert [status for status, _ in (full, waits, behind, refused)] == [201, 200, 200, 409]
    assert (waits[1]["state"], behind[1]["state"]) == ("waitlisted", "waitlisted")
    assert (waits[1]["waiting_before"], behind[1]["waiting_before"]) == (0, 1)
    assert refused[1]["reason"] == "slot_full"

    status, _, answer = ask("DELETE", f"{door}/v1/reservations/{full[1]['id']}?wait=10")
    assert (status, json.loads(answer)["state"]) == (200, "cancelled")
    for told in (waits[1], behind[1]):
        confirmed = until(system, told, "confirmed")
        assert confirmed["pass"]
        assert confirmed["waiting_until"] is None

    changed = change(system, waits[1], "s-2", "away")
    assert (changed[0], changed[1]["slot"], changed[1]["pharmacy"]) == (200, "s-2", "p-2")
    last = book(system, 5, 2)
    assert last[0] == 201  # what the change has freed
    back = change(system, waits[1], "s-1", "back")
    assert (back[0], back[1]["reason"], back[1]["slot"]) == (409, "sold_out", "s-2")

    verified = maskline("verify", "--data", system.data)
    assert (verified.code, verified.out.splitlines()[-1]) == (0, "Nothing differs."), verified


def change(system: Up, told: Any, slot: str, key: str) -> tuple[int, Any]:
    """Another slot, and the answer to it."""
    url = f"{system.endpoints['front_door']}/v1/reservations/{told['id']}?wait=10"
    status, _, answer = ask("PATCH", url, {"slot": slot}, {"Idempotency-Key": key})
    return status, json.loads(answer)
