"""A campaign's definition comes in chunks and counts once it is sealed."""

import pytest

from services.domain import commands as c
from services.domain.reasons import Reason
from services.domain.rows import Phase
from services.domain.rules.answers import Fact, done, refused, repeated
from tests import builders as b
from tests.contract.worlds import World, fold_all, open_campaign, without_bookkeeping

NOON, EVENING = b.slot("noon", 10), b.slot("evening", 5)


async def test_a_definition_is_told_chunk_by_chunk_and_counts_its_units(world: World) -> None:
    assert await world.fold(b.define(slots=2, pharmacies=1)) == [[Fact.DEFINED, 1]]
    assert await world.fold(b.add_pharmacies([b.pharmacy()])) == [[Fact.PHARMACIES_ADDED, 1]]
    assert await world.fold(b.add_slots([NOON], first=0)) == [[Fact.SLOTS_ADDED, 1]]
    assert await world.fold(b.add_slots([EVENING], first=1)) == [[Fact.SLOTS_ADDED, 2]]
    assert await world.fold(b.seal()) == [[Fact.SEALED, 15]]
    campaign = await world.row(f"c:{b.CAMPAIGN}")
    assert (campaign.no, campaign.phase, campaign.quota, campaign.left) == (1, Phase.SCHEDULED, 15, 15)


async def test_a_sealed_definition_can_be_read_back_whole(world: World) -> None:
    await fold_all(world, b.definition([NOON, EVENING]))
    assert await world.row("n:1") == b.CAMPAIGN
    assert b.CAMPAIGN in await world.row("x:1")
    (pharmacy,) = await world.row("x:1:p:0")
    assert (pharmacy.id, pharmacy.lon_e6, pharmacy.lat_e6) == (b.PHARMACY, 113_264_385, 23_129_112)
    assert await world.row("x:1:s:0") == ["noon", "evening"]
    slot = await world.row("s:1:noon")
    assert (slot.pharmacy, slot.day, slot.quota, slot.taken) == (b.PHARMACY, b.TODAY, 10, 0)
    assert (slot.starts_ms, slot.ends_ms) == (NOON.starts_ms, NOON.ends_ms)
    assert (slot.day_from_ms, slot.day_to_ms) == (b.MIDNIGHT_MS, b.MIDNIGHT_MS + b.DAY_MS)


async def test_the_catalogue_names_sealed_campaigns_in_the_order_of_their_sealing(world: World) -> None:
    first, second = b.definition([NOON], campaign="first"), b.definition([NOON], campaign="second")
    await fold_all(world, [*first[:-1], *second[:-1]])
    assert await world.row("cat") is None
    await fold_all(world, [second[-1], first[-1]])
    assert await world.row("cat") == ["second", "first"]


async def test_pharmacies_out_of_order_are_refused_with_the_number_that_is_there(world: World) -> None:
    await world.fold(b.define(slots=1, pharmacies=3))
    await world.fold(b.add_pharmacies([b.pharmacy("1")]))
    late = b.add_pharmacies([b.pharmacy("3")], first=2)
    assert await world.fold(late) == refused(Reason.DEFINITION_INCOMPLETE, 1)


async def test_slots_out_of_order_are_refused_with_the_number_that_is_there(world: World) -> None:
    await world.fold(b.define(slots=2))
    assert await world.fold(b.add_slots([EVENING], first=1)) == refused(Reason.DEFINITION_INCOMPLETE, 0)
    assert await world.row("s:1:evening") is None


async def test_each_chunk_is_answered_with_how_many_there_are_now(world: World) -> None:
    await world.fold(b.define(3, pharmacies=3))
    pharmacies = [b.add_pharmacies([b.pharmacy(f"pharmacy-{n}")], n) for n in range(3)]
    assert await fold_all(world, pharmacies) == [done(Fact.PHARMACIES_ADDED, n) for n in (1, 2, 3)]
    slots = [b.add_slots([b.slot("noon"), b.slot("evening", hour=18)]), b.add_slots([b.slot("night", hour=22)], 2)]
    assert await fold_all(world, slots) == [done(Fact.SLOTS_ADDED, n) for n in (2, 3)]


async def test_a_chunk_sent_again_gets_its_first_answer(world: World) -> None:
    await world.fold(b.define(slots=2))
    await world.fold(b.add_slots([NOON]))
    assert await world.fold(b.add_slots([NOON])) == repeated([Fact.SLOTS_ADDED, 1])
    assert (await world.row(f"c:{b.CAMPAIGN}")).quota == 10


@pytest.mark.parametrize("missing", ["pharmacies", "slots"])
async def test_an_incomplete_definition_is_not_sealed(world: World, missing: str) -> None:
    await world.fold(b.define(slots=2, pharmacies=1))
    await world.fold(b.add_slots([NOON]))
    if missing == "slots":
        await world.fold(b.add_pharmacies([b.pharmacy()]))
    else:
        await world.fold(b.add_slots([EVENING], first=1))
    seen = 1 if missing == "slots" else 2
    assert await world.fold(b.seal()) == refused(Reason.DEFINITION_INCOMPLETE, seen)
    assert await world.row("cat") is None


async def test_a_slot_that_is_there_twice_makes_its_chunk_malformed(world: World) -> None:
    await world.fold(b.define(slots=4))
    assert await world.fold(b.add_slots([NOON, NOON])) == refused(Reason.MALFORMED)
    await world.fold(b.add_slots([NOON, EVENING], key="2"))
    again = b.add_slots([b.slot("night"), NOON], first=2)
    assert await world.fold(again) == refused(Reason.MALFORMED)
    assert await world.row("s:1:night") is None
    assert (await world.row(f"c:{b.CAMPAIGN}")).slots_seen == 2


async def test_chunks_of_a_campaign_nobody_began_are_refused(world: World) -> None:
    commands: list[c.Command] = [b.add_pharmacies([b.pharmacy()]), b.add_slots([NOON]), b.seal()]
    assert await fold_all(world, commands) == [refused(Reason.UNKNOWN_CAMPAIGN)] * 3


async def test_chunks_of_another_revision_are_refused(world: World) -> None:
    await world.fold(b.define(slots=1, text="new"))
    chunks: list[c.Command] = [b.add_pharmacies([b.pharmacy()], text="old"), b.add_slots([NOON], text="old")]
    assert await fold_all(world, chunks) == [refused(Reason.UNKNOWN_CAMPAIGN)] * 2
    assert await world.fold(b.seal(text="old")) == refused(Reason.ALREADY_DEFINED, b.revision("new"))


async def test_a_new_draft_replaces_one_that_was_never_sealed(world: World) -> None:
    await fold_all(world, [b.define(slots=2, text="old"), b.add_slots([NOON], text="old")])
    assert await world.fold(b.define(slots=1, pharmacies=0, text="new")) == [[Fact.DEFINED, 2]]
    late = b.slot("evening", 5)
    assert await world.fold(b.add_slots([late], first=1, text="old")) == refused(Reason.UNKNOWN_CAMPAIGN)
    await fold_all(world, [b.add_slots([NOON], text="new"), b.seal(text="new"), b.open_()])
    assert await world.fold(b.reserve("anna", "noon")) == b.confirmed()
    campaign = await world.row(f"c:{b.CAMPAIGN}")
    assert (campaign.no, campaign.quota, campaign.revision) == (2, 10, b.revision("new"))


async def test_a_sealed_campaign_is_not_defined_again(world: World) -> None:
    await open_campaign(world, [NOON])
    await world.fold(b.reserve("anna"))
    before = without_bookkeeping(await world.rows())
    expected = refused(Reason.ALREADY_DEFINED, b.revision("a"))
    other: list[c.Command] = [b.define(slots=1, text="other"), b.seal(text="other"), b.seal(key="2")]
    assert await fold_all(world, other) == [expected] * 3
    assert await world.fold(b.add_slots([EVENING], first=1)) == refused(Reason.UNKNOWN_CAMPAIGN)
    after = without_bookkeeping(await world.rows())
    assert {name: row for name, row in after.items() if not name.startswith("o:")} == {
        name: row for name, row in before.items() if not name.startswith("o:")
    }


async def test_a_campaign_without_slots_has_nothing_to_give(world: World) -> None:
    await fold_all(world, [b.define(slots=0, pharmacies=0), b.seal(), b.open_()])
    assert await world.fold(b.reserve("anna")) == refused(Reason.UNKNOWN_SLOT)


async def test_a_campaign_of_twenty_thousand_slots_works(world: World) -> None:
    slots = [b.slot(f"s-{n:05}", 3, pharmacy=f"pharmacy-{n % 500:03}") for n in range(20_000)]
    answers = await fold_all(world, b.definition(slots))
    assert answers[-1] == [[Fact.SEALED, 60_000]]
    await world.fold(b.open_())
    assert await world.fold(b.reserve("anna", "s-00000", units=3)) == b.confirmed(0)
    assert await world.fold(b.reserve("ben", "s-19999", units=4)) == b.rejected(Reason.SLOT_FULL, left=3)
    assert (await world.row(f"c:{b.CAMPAIGN}")).left == 59_997
