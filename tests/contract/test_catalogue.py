"""What doors know of campaigns: definitions read once for each revision, phases and stock as they are now."""

from typing import Any

import msgspec
import pytest

from services.domain import commands as c
from services.domain.rows import Phase
from services.domain.rules.answers import Fact, done
from services.state.catalogue import Catalogue
from services.state.errors import CatchingUpError
from services.state.readers import StateReader
from services.state.redis_cluster import RedisCluster
from tests import builders as b
from tests.contract.worlds import LuaWorld, begin, fold_all, open_campaign
from tests.definition_text import definition_text

PARTITIONS = 2


@pytest.fixture
async def partition(lua: LuaWorld) -> LuaWorld:
    await begin(lua)
    return lua


@pytest.fixture
async def catalogue(partition: LuaWorld) -> Catalogue:
    return Catalogue(StateReader(partition.store), PARTITIONS)


async def test_a_system_without_campaigns_has_an_empty_catalogue(catalogue: Catalogue) -> None:
    await catalogue.refresh()
    assert list(catalogue) == []


async def test_a_campaign_is_seen_once_it_is_sealed(partition: LuaWorld, catalogue: Catalogue) -> None:
    *draft, seal = b.definition(b.slots_of({"noon": 10}))
    await fold_all(partition, draft)
    await catalogue.refresh()
    assert catalogue.get(b.CAMPAIGN) is None
    await partition.fold(seal)
    await catalogue.refresh()
    view = catalogue.get(b.CAMPAIGN)
    assert view is not None
    assert (view.name, view.partition, view.phase, list(view.slots)) == (b.CAMPAIGN, 0, Phase.SCHEDULED, ["noon"])
    assert view.definition.campaign == b.CAMPAIGN
    assert view.pharmacies[b.PHARMACY].lon_e6 == 113_264_385
    assert catalogue.by_no(0, view.row.no) is view
    assert catalogue.by_no(1, view.row.no) is None


async def test_a_campaign_sealed_since_the_last_refresh_is_learnt_and_no_definition_is_read_twice(
    partition: LuaWorld, catalogue: Catalogue
) -> None:
    await catalogue.refresh()
    await open_campaign(partition, {"noon": 10})
    await catalogue.learn(0)
    assert catalogue.get(b.CAMPAIGN) is not None
    before = await mgets(partition)
    await catalogue.learn(0)
    assert await mgets(partition) - before == 1


async def test_phases_are_read_anew_and_definitions_are_not(partition: LuaWorld, catalogue: Catalogue) -> None:
    await open_campaign(partition, {f"s-{n:04}": 1 for n in range(450)})
    await catalogue.refresh()
    await partition.fold(b.pause())
    before = await mgets(partition)
    await catalogue.refresh()
    assert await mgets(partition) - before <= PARTITIONS + 1
    view = catalogue.get(b.CAMPAIGN)
    assert view is not None
    assert view.phase == Phase.PAUSED
    assert len(view.slots) == 450


async def test_a_definition_is_read_again_where_rules_were_changed_and_slots_are_not(
    partition: LuaWorld, catalogue: Catalogue
) -> None:
    await open_campaign(partition, {f"s-{n:04}": 1 for n in range(450)})
    await open_campaign(partition, {"noon": 1}, campaign="other")
    await catalogue.refresh()
    before, other = catalogue.get(b.CAMPAIGN), catalogue.get("other")
    assert before is not None
    await partition.fold(b.change_rules(text="changed", household_max=2))
    read = await mgets(partition)
    await catalogue.refresh()
    assert await mgets(partition) - read == PARTITIONS + 2  # names, rows where there are some, and what has changed
    view = catalogue.get(b.CAMPAIGN)
    assert view is not None
    assert (view.definition.title["en"], view.row.revision) == ("changed", b.revision("changed"))
    assert (view.row.household_max, view.row.no) == (2, before.row.no)
    assert (view.slots, view.pharmacies) == (before.slots, before.pharmacies)
    assert catalogue.by_no(0, view.row.no) is view
    assert catalogue.get("other").definition == other.definition  # type: ignore[union-attr]
    held = (before.definition.title["en"], before.row.revision)
    assert held == ("a", b.revision("a")), "what somebody holds stays whole"


ON_NO_MAP = definition_text("other", b.REGION, "a").replace("Asia", "Nowhere")


@pytest.mark.parametrize("text", ["no JSON", "[]", "{}", ON_NO_MAP])
async def test_a_definition_that_nobody_can_read_keeps_no_other_campaign_from_anybody(
    partition: LuaWorld, catalogue: Catalogue, text: str
) -> None:
    define, *rest = b.definition(b.slots_of({"noon": 1}), campaign="other")
    await fold_all(partition, [msgspec.structs.replace(define, definition=text), *rest])
    await open_campaign(partition, {"noon": 1})
    await catalogue.refresh()
    await catalogue.learn(0)
    assert [view.name for view in catalogue] == [b.CAMPAIGN]
    assert catalogue.unreadable == ["other"]
    await partition.fold(b.change_rules(campaign="other"))
    await catalogue.refresh()
    assert catalogue.get("other") is not None
    assert catalogue.unreadable == []


async def test_rules_that_nobody_can_read_leave_the_last_definition_and_phases_go_on(
    partition: LuaWorld, catalogue: Catalogue
) -> None:
    await open_campaign(partition, {"noon": 1})
    await catalogue.refresh()
    change = msgspec.structs.replace(b.change_rules(text="changed"), definition="no JSON")
    await fold_all(partition, [change, b.pause()])
    await catalogue.refresh()
    view = catalogue.get(b.CAMPAIGN)
    assert view is not None
    assert (view.definition.title["en"], view.phase) == ("a", Phase.PAUSED)
    await partition.fold(b.change_rules(before="changed", text="c"))
    await catalogue.refresh()
    assert catalogue.get(b.CAMPAIGN).definition.title["en"] == "c"  # type: ignore[union-attr]


async def test_stock_is_as_it_is_now(partition: LuaWorld, catalogue: Catalogue) -> None:
    await open_campaign(partition, {f"s-{n:04}": 3 for n in range(600)})
    await catalogue.refresh()
    commands: list[c.Command] = [b.reserve("anna", "s-0599", units=2), b.change_quota(+4, "s-0001")]
    await fold_all(partition, commands)
    view = catalogue.get(b.CAMPAIGN)
    assert view is not None
    stock = await catalogue.stock(view)
    assert list(stock) == list(view.slots)
    assert (stock["s-0599"].taken, stock["s-0001"].quota, stock["s-0300"].taken) == (2, 7, 0)


async def test_a_refresh_that_fails_keeps_what_was_known(partition: LuaWorld, catalogue: Catalogue) -> None:
    await open_campaign(partition, {"noon": 10})
    await catalogue.refresh()
    await partition.redis.flushdb()
    with pytest.raises(CatchingUpError):
        await catalogue.refresh()
    assert catalogue.get(b.CAMPAIGN) is not None


async def mgets(world: LuaWorld) -> int:
    """How many MGETs were answered; in a cluster by all: partitions go to other nodes as their slots do."""
    asked = [node for _, node in await world.store.nodes()] if isinstance(world.store, RedisCluster) else [world.redis]
    stats: list[dict[str, Any]] = [await redis.info("commandstats") for redis in asked]
    return sum(int(each.get("cmdstat_mget", {}).get("calls", 0)) for each in stats)


@pytest.mark.safety
async def test_a_campaign_that_stands_in_another_partition_than_its_region_is_offered_by_the_right_one_alone(
    partition: LuaWorld,
) -> None:
    """Somebody wrote a definition to a partition of their choice: a second order, and a second "one per person"."""
    assert await seen_with_a_definition_in_both(partition) == [0]


@pytest.mark.control
async def test_without_the_look_at_the_regions_partition_a_campaign_is_offered_from_where_it_must_not_be(
    partition: LuaWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def anywhere(*_: object) -> bool:
        return True

    monkeypatch.setattr(Catalogue, "_lives_in", anywhere)
    assert await seen_with_a_definition_in_both(partition) == [0, 1]


async def seen_with_a_definition_in_both(partition: LuaWorld) -> list[int]:
    """Where the campaign is offered while the catalogue is read anew, partition by partition."""
    elsewhere = await partition.beside(1)
    await begin(elsewhere)
    assigned = b.assign_region(b.REGION, b.CAMPAIGN, partitions=PARTITIONS)
    assert await partition.fold(assigned) == done(Fact.REGION_ASSIGNED, 0)
    catalogue, seen = Catalogue(StateReader(partition.store), PARTITIONS), set()
    for world in (partition, elsewhere):
        await open_campaign(world, {"noon": 10})
        for learnt in (0, 1, 1):
            await catalogue.learn(learnt)
            await catalogue.refresh()
            seen |= {view.partition for view in catalogue if view.name == b.CAMPAIGN}
    await elsewhere.call.drop()
    return sorted(seen)
