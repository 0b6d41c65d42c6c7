"""The contract of those who read, once more: a Redis Cluster instead of one Valkey."""

import pytest

from infra.local.running import RunningRedis
from tests.contract.conftest import lua  # noqa: F401
from tests.contract.test_readers import *  # noqa: F403

pytestmark = pytest.mark.timeout(60)  # not the markers of the modules above: this is no embedded tier


@pytest.fixture
def redis_url(redis_cluster: RunningRedis) -> str:
    """In place of the one Valkey."""
    return redis_cluster.url
