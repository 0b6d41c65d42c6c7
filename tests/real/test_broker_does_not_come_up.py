"""One of three brokers does not come up: it is named with what it said, and the two others do not stay behind."""

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from infra.embedded.commands import LOOPBACK
from infra.launcher.launcher import Launcher
from infra.launcher.process import ProcessDidNotStart
from infra.local.kafka import KafkaCluster
from infra.local.kafka_settings import BrokerPorts
from infra.local.parts import BROKERS, SETTINGS


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_broker_that_does_not_come_up_is_named_with_what_it_said_and_nothing_stays(tmp_path: Path) -> None:
    ports = BrokerPorts.free(BROKERS)
    cluster = KafkaCluster(tmp_path / "kafka", ports)
    await cluster.prepare(lambda _: None)
    started: set[int] = set()
    launcher = Launcher(
        cluster.specs(),
        tmp_path,
        lambda _: None,
        lambda: started.update(each.pid for each in launcher.processes()),
        SETTINGS,
    )
    with closing(socket.create_server((LOOPBACK, ports[1].broker))), pytest.raises(ProcessDidNotStart) as told:
        await launcher.start()
    assert str(told.value).startswith("kafka-2 ended ")
    assert "Address already in use" in str(told.value)
    assert str(tmp_path / "logs" / "kafka-2.log") in str(told.value)
    assert len(started) == BROKERS
    assert not [pid for pid in started if is_alive(pid)]
    await launcher.start()  # where the port is free again nothing else has to be done
    await launcher.stop()
