"""The process that makes a snapshot every hour: what it says of its age, and when somebody has to look."""

import time
from pathlib import Path

import msgspec
import pytest
from prometheus_client import REGISTRY

from infra.embedded.stores import own_store, running_stores
from infra.launcher.first_steps import prepare_log
from services.audit.snapshot_main import LATE_AFTER_INTERVALS, Hourly, SnapshotSettings
from services.state.snapshots.folder import SNAPSHOTS

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(60)]

NOWHERE = "127.0.0.1:1"
HOUR_S, INSTANT_S = 3_600.0, 1e-6


async def test_each_round_tells_when_it_was_made_and_one_that_failed_is_told_only_when_it_is_late(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    with running_stores(tmp_path) as stores:
        settings = SnapshotSettings(kafka=stores.kafka, data=data, every_s=HOUR_S, start_timeout_s=10.0)
        await prepare_log(settings, data, partitions=2, replicas=1)
        began_s = time.time()
        hourly = Hourly(settings, own_store)
        assert (await hourly.once(), hourly.wrong) == (True, None)
    for partition in ("0", "1"):
        made_s = REGISTRY.get_sample_value("maskline_snapshot_made_at_seconds", {"partition": partition})
        assert made_s is not None
        assert began_s <= made_s <= time.time()
    assert len([path for path in (data / SNAPSHOTS).iterdir() if not path.name.startswith(".")]) == 2

    away = msgspec.structs.replace(settings, kafka=NOWHERE, start_timeout_s=0.2)
    within_the_hour = Hourly(away, own_store)
    assert (await within_the_hour.once(), within_the_hour.wrong) == (False, None)
    late = Hourly(msgspec.structs.replace(away, every_s=INSTANT_S / LATE_AFTER_INTERVALS), own_store)
    assert await late.once() is False
    assert late.wrong is not None
    assert NOWHERE in late.wrong
