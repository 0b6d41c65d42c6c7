"""A waiting room that does not keep what it committed to is found in the log itself."""

import pytest

from services.audit.report import Kind, Report
from services.domain import commands as c
from tests import room_builders as rooms
from tests.unit.audit_world import AuditWorld

NAME = "masks"


@pytest.fixture
def world() -> AuditWorld:
    world = AuditWorld()
    world.campaign({"s1": 10})
    world.write(c.Close(id="close-campaign-1", campaign=NAME))
    world.write(rooms.set_valve("on", campaign=NAME))
    world.write(rooms.prepare_room(campaign=NAME))
    world.write(c.Open(id="open-campaign-01", campaign=NAME))
    return world


def unfair(report: Report) -> list[str]:
    return [each.what for each in report.differences if each.kind is Kind.UNFAIR]


@pytest.mark.control
async def test_a_room_that_keeps_what_it_said_is_no_difference(world: AuditWorld) -> None:
    world.write(rooms.freeze_room(50, campaign=NAME))
    world.write(rooms.admit(20, campaign=NAME))
    world.write(rooms.admit(40, campaign=NAME))
    assert unfair(await world.verify()) == []


@pytest.mark.safety
async def test_another_seed_than_was_committed_to_is_found(world: AuditWorld) -> None:
    world.write(rooms.freeze_room(50, seed="one that suits somebody", campaign=NAME))
    (what,) = unfair(await world.verify())
    assert "another seed" in what


@pytest.mark.safety
async def test_fewer_places_than_were_let_in_before_are_found(world: AuditWorld) -> None:
    world.write(rooms.freeze_room(50, campaign=NAME))
    world.write(rooms.admit(20, campaign=NAME))
    world.publishes = False
    world.publish(world.write(rooms.admit(40, campaign=NAME)), values=[10])
    (what,) = unfair(await world.verify())
    assert "fewer places" in what
