"""A limit is lowered in mid-rush by applying the file again: who came before keeps theirs, who comes after hears no."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.domain.days import day_of, rfc3339
from tests.integration.cli_system import Ran, Up, maskline, up
from tests.integration.front_door_system import ask
from tests.integration.tiers import Tier
from tests.morning import WHERE

SEEN_WITHIN_S = 10.0
BEFORE, AFTER, AT_MOST = 12, 12, 3_000
UNITS = 4_000
CAMPAIGN = """\
campaign: amended
region: guangzhou
timezone: {zone}
title: {{en: Masks for families}}
controller: {{name: Health Commission, contact: privacy@masks.example}}
appeal_contact: {{phone: "12345"}}
mode: first_come
windows:
  - {{opens_at: {opens_at}, closes_at: {closes_at}}}
rules:
  units_max: 5
  document_types: [passport]
  household_max: {household_max}
  change_until_h: {change_until_h}
pharmacies: pharmacies.csv
slots: slots.csv
"""


@pytest.fixture(scope="module")
def system(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("amended")
    with up(folder / "data", *tier.options(folder / "data")) as running:
        yield running


def apply(system: Up, folder: Path, *options: str, household_max: int = 1_000, change_until_h: int = 1) -> Ran:
    """Write the file with these rules, and bring it into the system."""
    today = day_of(int(time.time() * 1000), WHERE)
    file, day_ms = folder / "amended.yaml", 86_400_000
    file.write_text(
        CAMPAIGN.format(
            zone=WHERE.key,
            opens_at=rfc3339(today.from_ms, WHERE),
            closes_at=rfc3339(today.to_ms + day_ms, WHERE),
            household_max=household_max,
            change_until_h=change_until_h,
        ),
        "utf-8",
    )
    (folder / "pharmacies.csv").write_text("id,name\np-1,First\n", "utf-8")
    starts, ends = (rfc3339(today.to_ms + hours * 3_600_000, WHERE) for hours in (9, 12))
    (folder / "slots.csv").write_text(
        f"id,pharmacy,starts_at,ends_at,units\ns-1,p-1,{starts},{ends},{UNITS}\n", "utf-8"
    )
    return maskline("campaign", "apply", file, "--data", system.data, "--why", "one phone for a whole street", *options)


def book(system: Up, number: int) -> tuple[int, Any]:
    """Somebody books with the phone that a whole street uses, and waits for the decision."""
    body = {
        "campaign": "amended",
        "slot": "s-1",
        "units": 1,
        "resident": {"document_type": "passport", "document_number": f"E{number:08d}"},
        "phone": "+8613800000000",
    }
    headers = {"Idempotency-Key": f"person-{number}", "Prefer": "wait=10"}
    status, _, answer = ask("POST", f"{system.endpoints['front_door']}/v1/reservations", body, headers)
    return status, json.loads(answer)


class Street:
    """People who book one after the other, as fast as they are answered, until `AFTER` of them were refused."""

    def __init__(self, system: Up) -> None:
        self.heard: list[tuple[int, Any]] = []
        self._system = system
        self._thread = threading.Thread(target=self._book)

    def __enter__(self) -> "Street":
        self._thread.start()
        while len(self.heard) < BEFORE:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def _book(self) -> None:
        while len(self.heard) < AT_MOST and sum(status == 409 for status, _ in self.heard) < AFTER:
            self.heard.append(book(self._system, len(self.heard)))


def test_a_limit_lowered_in_mid_rush_holds_for_whoever_comes_after_it_and_verify_finds_nothing(
    system: Up, tmp_path: Path
) -> None:
    assert apply(system, tmp_path).code == 0
    looked = apply(system, tmp_path, "--dry-run", household_max=3)
    assert looked.out.splitlines() == [
        "Would change campaign amended (guangzhou), for whoever comes from then on:",
        "  rules.household_max: 1000 → 3",
    ]
    with Street(system) as street:
        changed = apply(system, tmp_path, household_max=3)
    assert changed.code == 0, changed
    assert "rules.household_max: 1000 → 3" in changed.out

    statuses = [status for status, _ in street.heard]
    served = statuses.index(409)
    assert served >= BEFORE
    assert statuses == [201] * served + [409] * AFTER
    assert {told["reason"] for _, told in street.heard[served:]} == {"household_limit"}
    door = system.endpoints["front_door"]
    for _, told in (street.heard[0], street.heard[served - 1]):
        _, _, answer = ask("GET", f"{door}/v1/reservations/{told['id']}")
        assert json.loads(answer)["state"] == "confirmed"

    deadline_s = time.monotonic() + SEEN_WITHIN_S
    while json.loads(ask("GET", f"{door}/v1/campaigns/amended")[2])["rules"]["household_max"] != 3:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    verified = maskline("verify", "--data", system.data)
    assert (verified.code, verified.out.splitlines()[-1]) == (0, "Nothing differs."), verified


def test_what_people_have_booked_by_is_refused_with_what_to_do(system: Up, tmp_path: Path) -> None:
    assert apply(system, tmp_path, household_max=3).code == 0
    refused = apply(system, tmp_path, household_max=2, change_until_h=2)
    assert refused.code == 1
    assert "rules.change_until_h: 1 → 2. It stands in the slots" in refused.err
    assert "household_max" not in refused.err
    assert apply(system, tmp_path, household_max=3).out.startswith("Nothing changed")
