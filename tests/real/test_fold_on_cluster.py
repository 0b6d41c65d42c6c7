"""The contract of the fold, once more: partition 0 of a Redis Cluster instead of one Valkey."""

import pytest

from infra.local.running import RunningRedis
from tests.contract.conftest import lua  # noqa: F401
from tests.contract.test_fold_call import *  # noqa: F403
from tests.contract.test_fold_library import *  # noqa: F403
from tests.contract.test_fold_recorded import *  # noqa: F403
from tests.contract.test_fold_safety import *  # noqa: F403
from tests.contract.test_fold_safety_withdrawal import *  # noqa: F403

pytestmark = pytest.mark.timeout(60)  # not the markers of the modules above: this is no embedded tier


@pytest.fixture
def redis_url(redis_cluster: RunningRedis) -> str:
    """In place of the one Valkey."""
    return redis_cluster.url
