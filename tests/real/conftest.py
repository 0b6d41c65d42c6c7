"""The real tier: Apache Kafka, Redis Cluster and whatever else a city would run, as processes on loopback.

`make test-real`. A test of this folder raises `infra.local.missing.PartMissing`, itself or in a fixture, where the
machine lacks a program: `tests/parts_missing.py` says what becomes of it.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nobody has to remember the marker, and `make test` leaves this folder out."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.real)
