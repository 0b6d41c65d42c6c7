"""F7: the network to Redis or Kafka is late, silent, torn or dripping: requests end in time, and all is well after."""

import asyncio
from pathlib import Path
from typing import Final

import pytest

from infra.fault_proxy.modes import BlackHole, Delay, Drip, HalfOpen, Mode, Pass, Reset
from tests.chaos.city import PLENTY, City, Plan, altered, tell
from tests.chaos.crowd import Back
from tests.chaos.story import Fault, played, played_in_turn

pytestmark = [pytest.mark.chaos, pytest.mark.embedded, pytest.mark.real, pytest.mark.timeout(180)]

FAULT_S: Final = 6.0
BACK_S: Final = 10.0
"""A process notices within its time-outs, connects again within its pauses; 4 s is the longest time-out."""

MODES: Final[dict[str, Mode]] = {
    "late by 200 ms": Delay(each_way_ms=100),
    "late by 5 s": Delay(each_way_ms=2_500),
    "half-open": HalfOpen(),
    "lost": BlackHole(),
    "reset": Reset(),
    "dripping": Drip(byte_every_ms=20),
}


def network(store: str, name: str) -> Fault:
    async def fault(city: City) -> None:
        tell(f"the network to the {store} is {name} for {FAULT_S:g} s")
        await city.proxies[store].switch(MODES[name])
        await asyncio.sleep(FAULT_S)
        tell("it is mended")
        await city.proxies[store].switch(Pass())

    fault.__doc__ = f"F7: the network to the {store} is {name}"
    return fault


@pytest.mark.safety
@pytest.mark.parametrize("store", ["valkey", "broker"])
async def test_a_network_that_fails_lets_nobody_down_and_people_are_served_soon_after(
    store: str, tmp_path: Path
) -> None:
    plan = Plan(through_proxies=True, units=PLENTY)
    verdict = await played_in_turn([network(store, name) for name in MODES], plan, tmp_path, back_within_s=BACK_S)
    assert verdict.faults == []
    assert verdict.tally.confirmed > 300 * len(MODES)
    back = dict(zip(MODES, verdict.back, strict=True))
    assert {name: each for name, each in back.items() if not soon(each)} == {}


def soon(back: Back) -> bool:
    """Whether it was within the bound."""
    return all(after_s is not None and after_s <= BACK_S for after_s in back)


@pytest.mark.control
async def test_without_time_outs_a_lost_connection_to_redis_is_waited_on_for_ever(tmp_path: Path) -> None:
    plan = Plan(programs={"allocator": altered("time_outs")}, through_proxies=True)
    verdict = await played(network("valkey", "lost"), plan, tmp_path, gives_up_after_s=3.0, settle_timeout_s=5.0)
    assert verdict.decided_again_s is None
    assert verdict.faults != []
