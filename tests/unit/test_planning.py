"""`maskline plan`: arithmetic that never promises more with less, and says in words what it rests on."""

import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from infra.planning import measured
from infra.planning.arrivals import Arrivals
from infra.planning.measured import CPU_MARGIN, Measured
from infra.planning.plan import MAX_PARTITIONS, MIN_SHARDS, Limit, Plan, plan
from services import cli
from tests.bench.__main__ import EMBEDDED, REAL
from tests.bench.figure import figure
from tests.bench.plan_check import held_against

PEOPLE = st.integers(1, 50_000_000)
MANY = st.builds(
    Arrivals,
    regions=st.integers(1, 300),
    units_each=st.integers(1, 10),
    share_at_opening=st.floats(0.01, 1.0),
    tries_each=st.floats(1.0, 20.0),
    drain_within_s=st.floats(1.0, 3_600.0),
    busy_share=st.floats(0.2, 1.0),
    spare=st.integers(0, 5),
    shard_memory_gib=st.floats(1.0, 256.0),
)


def counted(found: Plan) -> list[int]:
    parts = found.parts
    return [
        parts.partitions,
        parts.front_doors,
        parts.allocators,
        parts.redis_shards,
        parts.kafka_brokers,
        parts.kafka_cores,
        parts.log_bytes,
        parts.cores,
    ]


@given(PEOPLE, PEOPLE, PEOPLE, MANY)
def test_more_residents_never_need_fewer_parts_and_are_never_served_sooner(
    residents: int, more: int, units: int, arrivals: Arrivals
) -> None:
    fewer, many = plan(residents, units, arrivals), plan(residents + more, units, arrivals)
    assert all(few <= enough for few, enough in zip(counted(fewer), counted(many), strict=True))
    assert fewer.rush.drained_s <= many.rush.drained_s


@given(PEOPLE, PEOPLE, MANY, st.floats(1.0, 10.0))
def test_more_time_for_the_rush_never_needs_more_parts(
    residents: int, units: int, arrivals: Arrivals, longer: float
) -> None:
    slower = replace(arrivals, drain_within_s=arrivals.drain_within_s * longer)
    hurried, patient = plan(residents, units, arrivals), plan(residents, units, slower)
    assert all(few <= enough for few, enough in zip(counted(patient), counted(hurried), strict=True))


@given(PEOPLE, PEOPLE, MANY)
def test_every_plan_can_work(residents: int, units: int, arrivals: Arrivals) -> None:
    found = plan(residents, units, arrivals)
    parts, rush = found.parts, found.rush
    assert 1 + arrivals.spare <= parts.front_doors
    assert 1 <= parts.allocators <= parts.partitions <= MAX_PARTITIONS
    assert MIN_SHARDS <= parts.redis_shards <= max(MIN_SHARDS, parts.partitions)
    assert rush.drained_s * rush.decided_per_s == pytest.approx(rush.wishes)
    assert rush.drained_s >= max(arrivals.drain_within_s, arrivals.first_taps_within_s)
    assert found.bookings <= min(units, residents)
    assert found.cost.cpu_ms > 0


@given(PEOPLE, PEOPLE, MANY)
def test_the_fold_of_one_region_is_never_planned_beyond_what_was_measured(
    residents: int, units: int, arrivals: Arrivals
) -> None:
    alone = plan(residents, units, replace(arrivals, regions=1))
    slack = 1 + 1e-9
    assert alone.rush.decided_per_s <= measured.PARTITION_DECIDED_PER_S.value / CPU_MARGIN * slack


def test_two_million_residents_of_one_city_wait_for_the_fold_and_not_for_front_doors() -> None:
    found = plan(2_000_000, 100_000, Arrivals())
    assert found.rush.held_up_by is Limit.FOLD
    assert found.rush.wishes == 1_600_000
    assert found.rush.drained_s == pytest.approx(1_600_000 / (14_830 / 1.5))
    assert found.parts.allocators == 2, "one folds, one is spare: more have no partition to fold"
    assert found.parts.partitions == 4


def test_ten_cities_are_decided_side_by_side() -> None:
    one, ten = plan(2_000_000, 100_000, Arrivals()), plan(2_000_000, 100_000, Arrivals(regions=10))
    assert ten.rush.drained_s == Arrivals().drain_within_s < one.rush.drained_s
    assert ten.parts.partitions == 20


def test_a_region_that_no_shard_can_hold_is_said_and_not_hidden() -> None:
    found = plan(50_000_000, 1_000_000, Arrivals(shard_memory_gib=8.0))
    (said,) = found.too_small
    assert "--shard-memory-gib 8" in said
    assert plan(50_000_000, 1_000_000, Arrivals(shard_memory_gib=64.0)).too_small == []


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli.maskline, ["plan", *arguments], prog_name="maskline")
    return result.exit_code, result.output


def test_the_command_tells_when_the_rush_is_over_and_what_it_costs() -> None:
    code, told = run("--residents", "2,000,000", "--units", "100000", "--open", "20:00", "--core-hour-price", "0.04")
    assert code == 0
    assert "decided by 20:02:41" in told
    assert "A thousand of them cost" in told
    assert "A thousand of them cost" not in run("--residents", "20", "--units", "1")[1]


def test_a_plan_as_json_carries_its_assumptions() -> None:
    code, told = run("--residents", "2_000_000", "--units", "100000", "--open", "23:59", "--tries-each", "3", "--json")
    found = json.loads(told)
    assert code == 0
    assert found["assumptions"]["tries_each"] == 3
    assert found["drained_at"].startswith("00:0"), "a rush may last beyond midnight"
    assert found["wishes"] == 6_000_000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--residents", "20m", "--units", "1"), "'20m' is no whole number from 1 to"),
        (("--residents", "-5", "--units", "1"), "'-5' is no whole number from 1 to"),
        (("--residents", "5", "--units", "0"), "'0' is no whole number from 1 to"),
        (("--residents", "5"), "Missing option '--units'"),
        (("--residents", "5", "--units", "1", "--open", "8pm"), "'8pm' is no time of day: write hours and minutes"),
        (("--residents", "5", "--units", "1", "--open", "25:00"), "'25:00' is no time of day"),
        (("--residents", "5", "--units", "1", "--share-at-opening", "40"), "0 to 1"),
        (("--residents", "5", "--units", "1", "--drain-within-s", "0"), "Seconds in which the rush is to be decided"),
    ],
)
def test_bad_input_is_told_in_the_users_words(arguments: tuple[str, ...], told: str) -> None:
    code, output = run(*arguments)
    assert code == 2
    assert told in " ".join(output.split())


def test_every_constant_names_a_figure_that_the_bench_has() -> None:
    known = {name for tier in (EMBEDDED, REAL) for group in tier.values() for name in group}
    assert {each.figure for each in measured.ALL} <= known


def test_a_constant_beyond_its_margin_is_named_by_the_bench() -> None:
    found = [figure("cpu_us_status", [STATUS.planned * 1.2], "us"), figure("log_bytes_per_booking", [500.0], "B")]
    (held,) = held_against(found)
    assert held.value == pytest.approx(1.2, rel=1e-3)
    assert held.against.startswith("cpu_us_status is ")
    (held,) = held_against(found[1:])
    assert held.value < 1
    assert held.against == "all 1 constants within their margins"


def test_a_slower_fold_than_planned_is_named_by_the_bench() -> None:
    slow = measured.PARTITION_DECIDED_PER_S.planned / 2
    (held,) = held_against([figure("caught_up_per_s", [slow], "1/s")])
    assert held.value == pytest.approx(2, rel=1e-3)


STATUS: Measured = measured.STATUS_CPU_US
