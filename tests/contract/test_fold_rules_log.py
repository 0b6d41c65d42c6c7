"""The log itself: its identity, its time, its rules, records nobody can read, and where regions live."""

import pytest

from services.domain.fold import RulesTooNewError
from services.domain.reasons import Reason
from services.domain.rows import HEAD, Head
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b
from tests.contract.worlds import ModelWorld, World, as_written, begin, fold_all, open_campaign, without_bookkeeping

AHEAD_MS = 120_000
MALFORMED = refused(Reason.MALFORMED)


async def head(world: World) -> Head:
    found: Head = await world.row(HEAD)
    return found


async def test_the_genesis_record_names_the_log_and_is_the_first_tick(world: World) -> None:
    found = await head(world)
    assert (found.log, found.key_check, found.rules, found.position) == (b.LOG, b.KEY_CHECK, 1, 1)
    assert (found.now_ms, found.tick_ms) == (b.NOON_MS, b.NOON_MS)


async def test_the_partitions_own_row_is_called_head(world: World) -> None:
    assert list(await world.rows()) == ["head"]


async def test_every_record_moves_the_position_and_leaves_its_digest(world: World) -> None:
    assert await world.fold(b"no command") == MALFORMED
    found = await head(world)
    assert (found.position, found.digest) == (2, 0x45AE453C)  # CRC-32 of the value


async def test_time_follows_the_records(world: World) -> None:
    await world.fold(b.open_(), at_ms=b.NOON_MS + 7)
    assert (await head(world)).now_ms == b.NOON_MS + 7


async def test_time_never_runs_back(world: World) -> None:
    await world.fold(b.open_(), at_ms=b.NOON_MS + 7)
    await world.fold(b.close(), at_ms=b.NOON_MS - b.DAY_MS)
    assert (await head(world)).now_ms == b.NOON_MS + 7


async def test_a_record_from_the_year_2100_moves_time_no_further_than_two_minutes_past_the_last_tick(
    world: World,
) -> None:
    await world.fold(b.open_(), at_ms=b.YEAR_2100_MS)
    assert (await head(world)).now_ms == b.NOON_MS + AHEAD_MS
    await world.fold(b.tick(b.NOON_MS + b.HOUR_MS), at_ms=b.NOON_MS + b.HOUR_MS)
    await world.fold(b.close(), at_ms=b.NOON_MS + b.HOUR_MS + 5)
    assert (await head(world)).now_ms == b.NOON_MS + b.HOUR_MS + 5


async def test_a_tick_counts_from_the_record_behind_it_on(world: World) -> None:
    assert await world.fold(b.tick(b.NOON_MS + b.DAY_MS), at_ms=b.NOON_MS + b.DAY_MS) == done(Fact.TICKED)
    assert (await head(world)).now_ms == b.NOON_MS + AHEAD_MS
    await world.fold(b.open_(), at_ms=b.NOON_MS + b.DAY_MS)
    assert (await head(world)).now_ms == b.NOON_MS + b.DAY_MS


async def test_a_clock_that_is_behind_takes_nothing_back(world: World) -> None:
    await world.fold(b.tick(b.NOON_MS + b.HOUR_MS))
    await world.fold(b.tick(b.NOON_MS - b.HOUR_MS))
    assert (await head(world)).tick_ms == b.NOON_MS + b.HOUR_MS


async def test_a_record_without_a_time_stamp_is_decided_at_the_time_it_is(world: World) -> None:
    await world.fold(b.open_(), at_ms=-1)
    assert (await head(world)).now_ms == b.NOON_MS


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\x00\xff\xfe",
        b"null",
        b"[]",
        b'"reserve"',
        b"{}",
        b'{"type":"reserve"}',
        b'{"type":"malformed"}',
        b'{"type":"give_me_all"}',
        b'{"type":"tick","at_ms":"0x10"}',
        b'{"type":"tick","at_ms":1e400}',
        b'{"type":"tick","at_ms":NaN}',
        b'{"type":"tick","at_ms":-1}',
        b'{"type":"tick","at_ms":99999999999999999999}',
        b'{"type":"tick","at_ms":1,"more":1}',
        b"[" * 100_000,
        b'{"type":"tick","at_ms":1}' + b" " * 300_000,
        as_written(b.reserve("anna")).replace(b'"units":1', b'"units":0'),
        as_written(b.reserve("anna")).replace(b'"units":1', b'"units":1.5'),
        as_written(b.reserve("anna")).replace(b'"slot":"noon"', b'"slot":"no on"'),
        as_written(b.reserve("anna")).replace(b'"slot":"noon"', b'"slot":"noon\\n"'),
        as_written(b.reserve("anna")).replace(b'"slot":"noon"', b'"slot":"{p01}:head"'),
        as_written(b.reserve("anna")).replace(b'"slot":"noon"', b'"slot":null'),
    ],
    ids=lambda value: repr(value[:40]),
)
async def test_a_record_nobody_can_read_is_refused_as_malformed_and_stops_nothing(world: World, value: bytes) -> None:
    await open_campaign(world, {"noon": 10})
    before = without_bookkeeping(await world.rows())
    assert await world.fold(value) == MALFORMED
    assert without_bookkeeping(await world.rows()) == before
    assert await world.fold(b.reserve("anna")) == b.confirmed()


@pytest.mark.parametrize("rules", [1, 2])
async def test_a_genesis_record_elsewhere_is_a_foreign_record_whatever_it_asks_for(world: World, rules: int) -> None:
    before = without_bookkeeping(await world.rows())
    assert await world.fold(b.genesis(rules)) == MALFORMED
    assert without_bookkeeping(await world.rows()) == before


async def test_rules_that_are_known_are_adopted_and_never_taken_back(world: World) -> None:
    assert await world.fold(b.adopt_rules(1)) == done(Fact.RULES_ADOPTED)
    assert await world.fold(b.adopt_rules(1)) == repeated([Fact.RULES_ADOPTED])
    assert (await head(world)).rules == 1


async def test_rules_that_nobody_knows_stop_the_fold_before_anything_is_changed(world: World) -> None:
    before = await world.rows()
    with pytest.raises(RulesTooNewError):
        await world.fold(b.adopt_rules(2))
    assert await world.rows() == before


async def test_a_log_that_begins_with_rules_that_nobody_knows_is_not_begun() -> None:
    model = ModelWorld()
    with pytest.raises(RulesTooNewError, match="2"):
        await model.fold(b.genesis(rules=2))
    assert await model.rows() == {HEAD: Head()}


async def test_rules_in_force_that_are_too_new_stop_the_fold_whatever_the_record() -> None:
    """As after the death of a newer process: the record that brought the rules lies behind."""
    model = ModelWorld()
    await begin(model)
    model.state.head.rules = 2
    with pytest.raises(RulesTooNewError, match="2"):
        await model.fold(b.tick(b.NOON_MS))


async def test_a_region_gets_the_least_used_partition(world: World) -> None:
    regions = ["guangzhou", "dongguan", "shenzhen", "foshan"]
    answers = await fold_all(world, [b.assign_region(region, f"{region}-1", partitions=3) for region in regions])
    assert answers == [done(Fact.REGION_ASSIGNED, partition) for partition in (0, 1, 2, 0)]
    assert await world.row("gc") == [2, 1, 1]


async def test_a_region_keeps_its_partition_for_ever(world: World) -> None:
    await fold_all(world, [b.assign_region("guangzhou", "first"), b.assign_region("dongguan", "second")])
    for campaign in ("third", "fourth"):
        assert await world.fold(b.assign_region("dongguan", campaign)) == done(Fact.REGION_ASSIGNED, 1)
    assert (await world.row("g:guangzhou"), await world.row("g:dongguan")) == (0, 1)
    assert await world.row("gc") == [1, 1, 0, 0]


async def test_a_campaigns_name_belongs_to_one_region(world: World) -> None:
    await world.fold(b.assign_region("guangzhou", "masks"))
    assert await world.fold(b.assign_region("dongguan", "masks")) == refused(Reason.CAMPAIGN_ELSEWHERE, "guangzhou")
    assert await world.row("g:dongguan") is None
    assert await world.fold(b.assign_region("guangzhou", "masks", key="2")) == done(Fact.REGION_ASSIGNED, 0)


async def test_regions_are_counted_once_although_they_were_asked_for_twice(world: World) -> None:
    await fold_all(world, [b.assign_region("guangzhou", "masks")] * 3)
    assert await world.row("gc") == [1, 0, 0, 0]
