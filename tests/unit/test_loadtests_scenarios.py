"""Scenarios: who comes when and behaves how, what is noted, what must hold, and what the report says."""

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.crowd.notes import Notebook, Notes, WishHeard, read_all
from loadtests.scenarios.catalogue import SCENARIOS, evenly, front_loaded, step, waves
from loadtests.scenarios.command import listed
from loadtests.scenarios.comparison import NoFigures, write_comparison
from loadtests.scenarios.judges import (
    always,
    answers_within,
    everybody_hears,
    honest_people_come_first,
    is_normal_after_the_outage,
    no_forged_ticket_opens,
    no_place_gets_worse,
    sells_out,
    stays_flat,
)
from loadtests.scenarios.outcome import LogSample, Outcome, ProcessSample, Truth
from loadtests.scenarios.plan import Group, Plan, read, write
from loadtests.scenarios.playing import verdict
from loadtests.scenarios.plot import Line, plot
from loadtests.scenarios.report import figures, page, write_report
from loadtests.scenarios.scenario import Scenario
from loadtests.shape import Shape
from services.cli.systems import NoLoadTests, load_loadtest

PLAYED = [scenario for scenario in SCENARIOS.values() if not scenario.needs]
S1 = SCENARIOS["S1"]


def truth(**changes: Any) -> Truth:
    right: dict[str, Any] = {
        "units": 100, "confirmed": 30, "confirmed_units": 100, "unused_units": 0, "rejected": 7, "oversold": 0,
        "lost": 0, "duplicates": 0, "ghosts": 0, "differences": [],
    }  # fmt: skip
    return Truth(**(right | changes))


def notes(*calls: tuple[int, str, int, float], wishes: tuple[WishHeard, ...] = (), worse: int = 0) -> Notes:
    """Of one process: second, call, status, seconds of each answer."""
    book = Notebook(began_s=0.0)
    book.wishes += wishes
    book.worse = worse
    for second, call, status, took_s in calls:
        book.heard(call, status, took_s, second=second)
    return book.taken()


def outcome(*heard: Notes, **changes: Any) -> Outcome:
    right: dict[str, Any] = {
        "scenario": "S1", "people": 10, "seconds": 20.0, "notes": list(heard) or [notes()],
        "processes": [ProcessSample(second=1, process="front-door", cpu=0.5, memory_mib=80.0)],
        "log": [LogSample(second=1, end=20, decided=18)], "truth": truth(),
    }  # fmt: skip
    return Outcome(**(right | changes))


def wish(state: str, *, life: str = "rush") -> WishHeard:
    return WishHeard(person=1, life=life, slot="s", units=1, key="k", state=state)


# -- who comes -------------------------------------------------------------------------------------------------------


def test_every_scenario_of_the_list_stands_there_and_says_what_happened_or_what_it_needs() -> None:
    assert list(SCENARIOS) == [f"S{number}" for number in range(1, 19)]
    for scenario in SCENARIOS.values():
        assert scenario.needs or (scenario.happened and scenario.kept and scenario.judges)
    assert SCENARIOS["S14"].needs == "the draw"


@pytest.mark.parametrize("scenario", PLAYED, ids=lambda scenario: str(scenario.name))
def test_all_of_the_people_come(scenario: Scenario) -> None:
    assert abs(scenario.arrive(scenario.people).arrivals - scenario.people) <= 1
    assert sum(group.share for group in scenario.groups) == pytest.approx(1)


@given(people=st.integers(100, 20_000))
def test_shapes_keep_the_number_of_people_whatever_it_is(people: int) -> None:
    shapes: list[Shape] = [
        evenly(3)(people), step(70, 5, 1, 12)(people), waves((0.2, 3, 5), (0.8, 5, 0))(people),
        front_loaded(0.4, 3, 25)(people),
    ]  # fmt: skip
    assert all(abs(shape.arrivals - people) <= 1 for shape in shapes)


def test_a_step_is_seventy_times_what_was_before() -> None:
    shape = step(70, 5, 1, 12)(1_200)
    assert shape.rate_per_s(10) / shape.rate_per_s(1) == pytest.approx(70)


def plan(folder: Path, *groups: Group) -> Plan:
    return Plan(
        front_door="http://127.0.0.1:1", campaign="s1", slots=["a", "b"], zipf=1.0, people=1_000, groups=groups,
        stretches=evenly(3)(1_000).stretches, ends_s=20.0, patience_s=20.0, looks=0, seed=1, counter="",
        token="", notes=folder,
    )  # fmt: skip


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = plan(tmp_path, Group(life="rush", share=1.0))
    write(written, tmp_path / "plan.json")
    found = read(tmp_path / "plan.json")
    assert (found.notes, found.groups, found.shape.arrivals) == (tmp_path, [*written.groups], 1_000)


def test_groups_are_mixed_evenly_through_the_crowd(tmp_path: Path) -> None:
    mixed = plan(tmp_path, Group(life="bot", share=0.05), Group(life="rush", share=0.95))
    for first in range(0, 1_000, 200):
        lives = Counter(mixed.life_of(number) for number in range(first, first + 200))
        assert 8 <= lives["bot"] <= 12


def test_who_comes_first_comes_before_all_others(tmp_path: Path) -> None:
    staffed = plan(tmp_path, Group(life="desk", share=0.02, comes_first=True), Group(life="rush", share=0.98))
    assert [staffed.life_of(number) for number in (0, 19, 20, 999)] == ["desk", "desk", "rush", "rush"]


# -- what is noted ---------------------------------------------------------------------------------------------------


def test_notes_of_all_processes_are_read_together(tmp_path: Path) -> None:
    book = Notebook(began_s=0.0)
    book.heard("book", 201, 0.005, second=3)
    book.heard("book", 503, 0.001, second=3)
    book.write(tmp_path)
    found = outcome(*read_all(tmp_path), *read_all(tmp_path))
    assert found.statuses("book") == {201: 2, 503: 2}
    assert 4 < found.latency_ms("book", 99) < 6


def test_a_crowd_that_is_late_itself_proves_nothing() -> None:
    late = notes()
    late.slip_ms = 900.0
    assert "late itself by" not in outcome().void_because
    assert "900 ms" in outcome(late).void_because
    assert outcome(notes=[]).void_because


# -- what must hold --------------------------------------------------------------------------------------------------


@pytest.mark.safety
@pytest.mark.parametrize("name", ["oversold", "lost", "duplicates", "ghosts"])
def test_what_is_promised_whatever_comes_makes_a_run_red(name: str) -> None:
    assert list(always(outcome(truth=truth(**{name: 1})))) == [f"{name}: 1"]


@pytest.mark.control
def test_where_all_was_kept_nothing_is_red() -> None:
    assert list(always(outcome())) == []
    assert verdict(S1, outcome(notes((1, "book", 201, 0.01), wishes=(wish("confirmed"),)))) == []


def test_units_that_nobody_can_find_and_answers_that_nobody_should_get_make_it_red() -> None:
    strange = notes()
    strange.unexpected["book: 500"] = 2
    found = list(always(outcome(strange, truth=truth(confirmed_units=90), notes=[strange])))
    assert found == ["90 units given and 0 left of 100", "an answer that nobody should get: book: 500, 2 times"]


@pytest.mark.parametrize(
    ("judge", "good", "bad"),
    [
        (sells_out, outcome(), outcome(truth=truth(confirmed_units=90, unused_units=10))),
        (
            everybody_hears(0.9),
            outcome(notes(wishes=(wish("confirmed"), wish("rejected")))),
            outcome(notes(wishes=(wish("confirmed"), wish("unknown")))),
        ),
        (
            answers_within("book", 100),
            outcome(notes((1, "book", 201, 0.05))),
            outcome(notes((1, "book", 201, 0.5))),
        ),
        (
            is_normal_after_the_outage,
            outcome(notes((21, "book", 201, 0.1)), outage=(5.0, 10.0)),
            outcome(notes((21, "book", 503, 0.1)), outage=(5.0, 10.0)),
        ),
        (
            honest_people_come_first(0.9),
            outcome(notes(wishes=(wish("confirmed"),))),
            outcome(notes(wishes=(wish("confirmed"), wish("confirmed", life="bot")))),
        ),
        (
            no_forged_ticket_opens,
            outcome(notes((1, "forged", 403, 0.1))),
            outcome(notes((1, "forged", 201, 0.1))),
        ),
        (
            stays_flat("desk", 10, 100),
            outcome(notes((1, "desk", 200, 0.05), (11, "desk", 200, 0.06))),
            outcome(notes((1, "desk", 200, 0.05), (11, "desk", 200, 0.06), (12, "desk", 200, 0.9))),
        ),
        (no_place_gets_worse, outcome(), outcome(notes(worse=1))),
    ],
)  # fmt: skip
def test_each_rule_can_be_broken(judge: Any, good: Outcome, bad: Outcome) -> None:
    assert list(judge(good)) == []
    assert len(list(judge(bad))) == 1


def test_a_run_that_ended_with_its_outage_does_not_tell_whether_it_is_normal_again() -> None:
    (fault,) = is_normal_after_the_outage(outcome(notes((3, "book", 201, 0.1)), outage=(5.0, 10.0)))
    assert "too short" in fault


# -- what is reported ------------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_beside_itself_and_says_the_verdict(tmp_path: Path) -> None:
    run = outcome(notes((1, "book", 201, 0.01), (2, "book", 503, 0.001), wishes=(wish("confirmed"),)))
    path = write_report(S1, run, ["something <b>did</b> not hold"], tmp_path)
    text = path.read_text("utf-8")
    assert "red" in text
    assert "something &lt;b&gt;did" in text
    assert not re.search(r"(src|href)=|@import|url\(", text)
    assert text.count("<svg") == 5
    assert path.with_suffix(".json").exists()


def test_figures_and_page_are_of_the_same_run_and_name_nobody() -> None:
    run = outcome(notes((1, "book", 201, 0.01), wishes=(WishHeard(1, "rush", "s", 1, "k", id="00secret"),)))
    found = figures(S1, run, [])
    assert (found["verdict"], found["calls"]["book"]["statuses"]) == ("green", {"201": 1})
    assert "00secret" not in page(S1, run, [], found) + str(found)


def test_a_plot_marks_what_was_broken() -> None:
    assert 'class="fault"' in plot("CPU", [Line("a", {1: 2.0, 9: 3.0})], "cores", 10, [(2.0, 4.0)])
    assert plot("nothing", [], "", 10) == ""


def test_runs_stand_beside_each_other(tmp_path: Path) -> None:
    paths = []
    for took_s in (0.01, 0.2):
        run = outcome(notes((1, "book", 201, took_s), wishes=(wish("confirmed"),)))
        paths.append(write_report(S1, run, [], tmp_path / str(took_s)).with_suffix(".json"))
    text = write_comparison(paths, tmp_path / "beside.html").read_text("utf-8")
    assert text.count("<th>S1-") == 2
    assert "1 × 201" in text
    assert not re.search(r"(src|href)=|@import|url\(", text)


def test_what_is_no_run_cannot_be_compared(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    for path in (tmp_path / "x.json", tmp_path / "nothing.json"):
        with pytest.raises(NoFigures):
            write_comparison([path], tmp_path / "beside.html")


def test_the_list_tells_what_cannot_be_run_yet() -> None:
    assert any("S14" in line and "needs the draw" in line for line in listed())


def test_where_locust_is_not_installed_it_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "loadtests.scenarios.command", None)
    with pytest.raises(NoLoadTests, match=r"pip install 'maskline\[loadtests\]'"):
        load_loadtest()
