"""How fast people are let in: in virtual time, beside a door that serves so many a second and a stock that ends."""

import pytest

from services.clock.admission import LATE_S, Admission
from services.domain.rows import CampaignRow, RoomRow

BEAT_S = 0.5


def masks(*, units: int = 100_000, confirmed: int = 0) -> CampaignRow:
    return CampaignRow(
        no=1,
        revision="r",
        region="x",
        phase=2,
        units_max=5,
        pharmacies=1,
        slots=1,
        quota=units,
        left=units - confirmed,
        confirmed=confirmed,
    )


class Town:
    """People who wait, and a door: whoever is let in books at once, and a line that grows makes decisions late."""

    def __init__(self, *, people: int, served_per_s: float, units: int = 100_000, book: float = 1.0) -> None:
        self.room = RoomRow(valve=1, factor_per_mille=1_500, round=1, active=1, frozen=1, early=people)
        self.units, self.confirmed, self.line, self.book = units, 0, 0.0, book
        self.served_per_s = served_per_s
        self.admission, self.now_s = Admission(), 0.0
        self.let_in: list[int] = []

    def run(self, seconds: float) -> None:
        for _ in range(int(seconds / BEAT_S)):
            late_s = 0.01 + self.line / self.served_per_s
            row = masks(units=self.units, confirmed=self.confirmed)
            places = self.admission.places(self.room, row, late_s=late_s, now_s=self.now_s)
            self.room.serving += places
            self.let_in.append(places)
            self.line += places * self.book
            served = min(self.line, self.served_per_s * BEAT_S, self.units - self.confirmed)
            self.confirmed += int(served)
            self.line -= int(served)
            self.now_s += BEAT_S

    def rate(self, beats: int) -> float:
        return sum(self.let_in[-beats:]) / beats / BEAT_S


@pytest.mark.parametrize("served_per_s", [50, 500, 1_500])
def test_people_come_in_about_as_fast_as_they_are_served(served_per_s: int) -> None:
    town = Town(people=1_000_000, served_per_s=served_per_s, units=1_000_000)
    town.run(60)
    assert 0.6 * served_per_s <= town.rate(60) <= 1.1 * served_per_s
    assert town.line / served_per_s <= 10 * LATE_S


def test_what_the_ops_team_has_set_is_kept_to_whatever_is_late() -> None:
    town = Town(people=1_000_000, served_per_s=1, units=1_000_000)
    town.room.outflow_per_s = 30
    town.run(20)
    assert town.rate(20) == 30


def test_no_more_are_let_in_than_the_factor_of_what_is_left() -> None:
    town = Town(people=100_000, served_per_s=1_000, units=1_000, book=0.0)  # nobody books who was let in
    town.room.outflow_per_s = 500
    town.run(60)
    assert town.room.serving == 1_500


def test_those_who_do_not_book_are_not_waited_for_for_ever() -> None:
    town = Town(people=100_000, served_per_s=1_000, units=1_000, book=0.0)
    town.room.outflow_per_s = 500
    town.run(200)
    assert 1_500 < town.room.serving <= 3_000 + 500


def test_when_all_is_gone_nobody_else_is_let_in() -> None:
    town = Town(people=100_000, served_per_s=1_000, units=2_000)
    town.run(120)
    assert town.confirmed == 2_000
    assert town.room.serving <= 2_000 * 1.5
    assert town.rate(60) == 0


def test_nobody_is_let_in_who_is_not_there() -> None:
    town = Town(people=10, served_per_s=1_000)
    town.run(10)
    assert town.room.serving == 10


def test_while_no_decision_comes_hardly_anybody_is_let_in() -> None:
    town = Town(people=1_000_000, served_per_s=500, units=1_000_000)
    town.run(30)
    before = town.rate(10)
    row = masks(units=1_000_000, confirmed=town.confirmed)
    places = [town.admission.places(town.room, row, late_s=None, now_s=town.now_s + n * BEAT_S) for n in range(40)]
    assert sum(places[-10:]) < before
    assert sum(places[-10:]) >= 1


def test_a_clock_that_slept_does_not_let_in_all_at_once_whom_it_missed() -> None:
    town = Town(people=1_000_000, served_per_s=500, units=1_000_000)
    town.room.outflow_per_s = 100
    town.run(5)
    row = masks(units=1_000_000, confirmed=town.confirmed)
    assert town.admission.places(town.room, row, late_s=0.01, now_s=town.now_s + 3_600) <= 250
