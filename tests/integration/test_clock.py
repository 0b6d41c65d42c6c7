"""Clocks as processes: campaigns open and close by their windows, whoever dies meanwhile."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from services.domain.days import rfc3339
from tests.integration.console_system import Ops, running_ops, windowed
from tests.integration.tiers import Tier
from tests.morning import WHERE


@pytest.fixture(scope="module")
def ops(tier: Tier, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ops]:
    with running_ops(tier, tmp_path_factory.mktemp("clock")) as ops:
        yield ops


def test_a_campaign_opens_and_closes_within_two_seconds_of_its_window(ops: Ops) -> None:
    with ExitStack() as stack:
        ops.clock(stack)
        ops.applies(windowed("window-1", (3.0, 5.5)))
        assert ops.phase("window-1") == "scheduled"
        assert ops.waits_for_phase("window-1", "open") < 3.0 + 2.5
        assert ops.waits_for_phase("window-1", "closed") < 2.5 + 2.5


def test_what_a_killed_clock_missed_the_next_one_does(ops: Ops) -> None:
    with ExitStack() as stack:
        ops.clock(stack, "first")
        ops.applies(windowed("killed-clock", (-60, 4.0), (4.5, 600)))
        assert ops.phase("killed-clock") == "open"
        ops.kill("first")
        with pytest.raises(AssertionError):
            ops.waits_for_phase("killed-clock", "closed", timeout_s=5.5)
        ops.asks("POST", "/v1/campaigns/killed-clock/pause", {"why": "the clock is dead"})
        ops.clock(stack, "second")
        ops.waits_for_phase("killed-clock", "open")
        _, trail = ops.asks("GET", "/v1/audit?limit=20")
        told = [
            (one["command"], one["why"], one["outcome"])
            for one in trail["entries"]
            if one.get("campaign") == "killed-clock" and one.get("actor") == "clock"
        ]
        assert told[:2] == [("open", "window 2", "opened"), ("close", "window 1", "closed")]


def test_two_clocks_side_by_side_do_no_harm_and_an_operator_has_the_last_word(ops: Ops) -> None:
    with ExitStack() as stack:
        ops.clock(stack, "one")
        ops.clock(stack, "two")
        ops.applies(windowed("two-clocks", (-60, 600)))
        ops.asks("POST", "/v1/campaigns/two-clocks/close", {"why": "the wrong stock"})
        ops.applies(windowed("two-clocks-later", (1.0, 600)))
        ops.waits_for_phase("two-clocks-later", "open")
        assert ops.phase("two-clocks") == "closed"


def test_the_time_of_every_partition_moves(ops: Ops) -> None:
    with ExitStack() as stack:
        ops.clock(stack)
        _, before = ops.asks("GET", "/v1/live/now")
        ops.applies(windowed("ticking", (1.0, 600)))
        ops.waits_for_phase("ticking", "open")
        _, after = ops.asks("GET", "/v1/live/now")
        for earlier, later in zip(before["partitions"], after["partitions"], strict=True):
            assert later["last_tick"] > earlier["last_tick"]


def test_a_share_whose_time_has_come_becomes_public(ops: Ops) -> None:
    """Kept for desks until an hour before, for those on a list: the way from the document to the fold in Redis."""
    in_an_hour_ms = int(time.time()) // 60 * 60_000 + 3_600_000
    slot = {"id": "s-1", "pharmacy": "p-1", "units": 100, "starts_at": rfc3339(in_an_hour_ms, WHERE),
            "ends_at": rfc3339(in_an_hour_ms + 60_000, WHERE)}  # fmt: skip
    rules = {
        "units_max": 5, "assisted": {"per_mille": 600, "release_h": 1}, "cool_down_days": 2,
        "eligible": [{"document_type": "passport", "document_number": f"E{number:08d}"} for number in range(501)],
    }  # fmt: skip
    with ExitStack() as stack:
        status, applied = ops.applies(windowed("released", (-7200, 600), rules=rules, slots=[slot]))
        assert (status, applied["units"]) == (200, 100)

        def public_left() -> int:
            return int(ops.asks("GET", "/v1/campaigns/released")[1]["numbers"]["units_left"])

        assert public_left() == 40
        ops.clock(stack)
        began_s = time.monotonic()
        while public_left() != 100:
            assert time.monotonic() - began_s < 10, "the share was not released"
            time.sleep(0.1)
