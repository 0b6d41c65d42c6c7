"""F9: front doors die between the log's acknowledgement and their answer: the wish stands, and nobody has heard."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.city import City, Plan, altered
from tests.chaos.story import Fault, played

pytestmark = [pytest.mark.chaos, pytest.mark.embedded, pytest.mark.timeout(180)]


def dying_doors(folder: Path, seconds: float) -> Fault:
    async def fault(_: City) -> None:
        """F9: front doors die after the log's acknowledgement, before they answer, again and again"""
        mark(folder).touch()
        await asyncio.sleep(seconds)
        mark(folder).unlink()

    return fault


def mark(folder: Path) -> Path:
    """While it is there the front doors die."""
    return folder / "it-dies"


def plan(folder: Path, *alterations: str) -> Plan:
    """Both front doors die."""
    return Plan(programs={"front-door": altered(f"dies_before_answering={mark(folder)}", *alterations)})


def deaths(folder: Path) -> int:
    """How often a front door died at that moment."""
    logs = (folder / "data" / "logs").glob("front-door-*.log")
    return sum(log.read_text().count("dies after an acknowledgement") for log in logs)


@pytest.mark.safety
async def test_who_heard_nothing_and_sends_the_same_again_gets_the_same_reservation(tmp_path: Path) -> None:
    verdict = await played(dying_doors(tmp_path, 12.0), plan(tmp_path), tmp_path)
    assert verdict.faults == []
    assert verdict.tally.unanswered > 5
    assert deaths(tmp_path) >= 3


@pytest.mark.control
async def test_without_an_id_that_rests_on_the_key_somebody_holds_what_nobody_knows_of(tmp_path: Path) -> None:
    verdict = await played(dying_doors(tmp_path, 6.0), plan(tmp_path, "same_key_same_id"), tmp_path)
    assert verdict.hearing is not None
    assert verdict.hearing.unheard > 0
