"""The waiting room of a campaign file."""

from typing import Any

import pytest

from services.domain.campaign import WaitingRoom, definition_json
from services.domain.campaign_document import definition_document
from tests.unit.campaign_documents import RIGHT, changed, checked, problems_of


def test_a_waiting_room_is_read() -> None:
    found = checked(changed("waiting_room", to={"mode": "automatic", "opens_before_min": 45, "admission_factor": 2.5}))
    assert found.waiting_room == WaitingRoom(mode="automatic", opens_before_min=45, admission_factor_per_mille=2_500)
    assert checked(changed("waiting_room", to={"mode": "on"})).waiting_room == WaitingRoom(mode="on")


def test_a_waiting_room_stands_in_the_file_that_is_written_as_in_the_one_that_was_read() -> None:
    document = {"mode": "on", "opens_before_min": 30, "admission_factor": 1.5}
    assert definition_document(checked(changed("waiting_room", to=document)))["waiting_room"] == document
    assert "waiting_room" not in definition_document(checked(RIGHT))


@pytest.mark.parametrize(
    ("room", "field"),
    [
        ({}, "waiting_room.mode"),
        ({"mode": "sometimes"}, "waiting_room.mode"),
        ({"mode": "on", "opens_before_min": 0}, "waiting_room.opens_before_min"),
        ({"mode": "on", "admission_factor": 0.5}, "waiting_room.admission_factor"),
        ({"mode": "on", "admission_factor": "much"}, "waiting_room.admission_factor"),
        ({"mode": "on", "outflow": 5}, "waiting_room.outflow"),
    ],
)
def test_a_waiting_room_that_says_nothing_is_refused(room: dict[str, Any], field: str) -> None:
    (problem,) = problems_of(changed("waiting_room", to=room))
    assert f"{field}: " in problem


def test_what_a_campaign_without_a_waiting_room_has_in_the_log_is_as_it_was_before_there_were_any() -> None:
    assert "waiting_room" not in definition_json(checked(RIGHT))
