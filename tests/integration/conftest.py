"""The two tiers, one after the other, for every module that asks."""

import pytest

from tests.integration.tiers import EmbeddedTier, RealTier, Tier


@pytest.fixture(
    scope="module",
    params=[pytest.param("embedded", marks=pytest.mark.embedded), pytest.param("real", marks=pytest.mark.real)],
)
def tier(request: pytest.FixtureRequest) -> Tier:
    """Asked for here: who runs on the embedded one needs no Java."""
    if request.param == "embedded":
        return EmbeddedTier()
    return RealTier(request.getfixturevalue("three_brokers"), request.getfixturevalue("redis_cluster"))
