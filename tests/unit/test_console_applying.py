"""A campaign document becomes a sealed campaign: once, whole, and however often somebody has to try."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.console.applying import Applying, Order, order
from services.console.contract import Applied
from services.console.desk import OpsDesk
from services.domain import commands as c
from services.domain.campaign import Campaign, Definition
from services.domain.days import instant_ms
from services.domain.rows import CampaignRow, Phase
from services.platform.contact import ContactKeys
from services.platform.identities import Identities
from services.platform.problems import Problem
from services.platform.secrets import Secrets
from services.stream.place import PartitionId
from tests.unit.campaign_documents import changed, checked, pseudonym
from tests.unit.folded_world import FoldedWorld

CAMPAIGN = checked(changed("delete_after_days", to=14))
NAME, REGION = CAMPAIGN.campaign, CAMPAIGN.region
BEFORE = instant_ms("2020-02-01T12:00:00+08:00")
DURING = instant_ms("2020-02-01T21:00:00+08:00")
AFTER = instant_ms("2020-02-02T09:00:00+08:00")


def big(slots: int) -> Campaign:
    """As many slots as asked for, over several chunks."""
    template = changed("slots", to=[])["slots"]
    first = dict(changed("region", to=REGION)["slots"][0])
    for number in range(slots):
        template.append(first | {"id": f"s-{number:05d}", "starts_at": f"2020-02-{3 + number // 600 % 20:02d}T"
                                 f"{number // 60 % 10 + 10}:{number % 60:02d}:00+08:00",
                                 "ends_at": f"2020-02-{3 + number // 600 % 20:02d}T23:59:00+08:00"})  # fmt: skip
    return checked(changed("slots", to=template))


class Now:
    """The time that the console reads."""

    def __init__(self) -> None:
        self.ms = BEFORE

    def __call__(self) -> int:
        return self.ms


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    folder = tmp_path_factory.mktemp("installation")
    folder.chmod(0o700)
    return Secrets.create(folder / "secrets")


@pytest.fixture
async def world() -> AsyncIterator[FoldedWorld]:
    world = FoldedWorld(partitions=3)
    async with world.running():
        yield world


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def keys(tmp_path: Path) -> ContactKeys:
    return ContactKeys(tmp_path / "contact")


@pytest.fixture
def applying(world: FoldedWorld, secrets: Secrets, keys: ContactKeys, now: Now) -> Applying:
    return Applying(OpsDesk(world.door, decision_timeout_s=1.0), Identities(secrets), keys, now)


def wish(campaign: Campaign = CAMPAIGN, key: str = "k-1", actor: str = "user:lin") -> Order:
    return order(campaign, pseudonym, actor=actor, why="the first round", key=key)


class Told(list[tuple[str, int, int]]):
    """The progress that was told. `stop_after` steps the listener hangs up."""

    stop_after = 1_000_000

    async def __call__(self, step: str, done: int, of: int) -> None:
        self.append((step, done, of))
        if len(self) >= self.stop_after:
            raise ConnectionResetError


async def apply(applying: Applying, what: Order) -> Applied:
    return await applying.apply(what, Told())


def row(world: FoldedWorld, partition: int = 0) -> CampaignRow:
    found = world.row(partition, f"c:{NAME}")
    assert isinstance(found, CampaignRow)
    return found


async def test_a_campaign_is_assigned_defined_and_sealed(
    world: FoldedWorld, applying: Applying, keys: ContactKeys
) -> None:
    applied = await apply(applying, wish())
    assert (applied.change, applied.phase, applied.partition) == ("created", "scheduled", 0)
    assert (applied.pharmacies, applied.slots, applied.units) == (2, 2, 150)
    kinds = [type(command) for command in world.commands(0)]
    assert kinds == [c.AssignRegion, c.DefineCampaign, c.AddPharmacies, c.AddSlots, c.SealDefinition]
    view = world.door.catalogue.get(NAME)
    assert view is not None
    assert msgspec.json.decode(world.row(0, "x:1"), type=Definition).windows == CAMPAIGN.windows
    assert keys.load(NAME, date.fromisoformat(CAMPAIGN.deletion_day)).campaign == NAME


async def test_who_and_why_stand_in_the_log(world: FoldedWorld, applying: Applying) -> None:
    await apply(applying, wish())
    told = [(one.actor, one.why) for one in world.every(c.AssignRegion)]
    told += [(one.actor, one.why) for one in world.every(c.DefineCampaign)]
    told += [(one.actor, one.why) for one in world.every(c.SealDefinition)]
    assert told == [("user:lin", "the first round")] * 3


async def test_regions_are_spread_over_partitions(world: FoldedWorld, applying: Applying) -> None:
    await apply(applying, wish())
    other = checked(changed("region", to="foshan") | {"campaign": "fs-1"})
    applied = await apply(applying, wish(other))
    assert applied.partition == 1
    again = checked(changed("campaign", to="gz-2"))
    assert (await apply(applying, wish(again))).partition == 0


async def test_progress_is_told_step_by_step(applying: Applying) -> None:
    told = Told()
    await applying.apply(wish(big(450)), told)
    assert told == [
        ("define", 1, 6), ("pharmacies", 2, 6), ("slots", 3, 6), ("slots", 4, 6), ("slots", 5, 6), ("seal", 6, 6)
    ]  # fmt: skip


async def test_a_window_that_has_begun_is_opened_at_once(world: FoldedWorld, applying: Applying, now: Now) -> None:
    now.ms = DURING
    assert (await apply(applying, wish())).phase == "open"
    (opened,) = world.every(c.Open)
    assert opened.by_clock
    assert opened.actor == "clock"


async def test_windows_that_are_over_are_opened_and_closed_side_by_side(
    world: FoldedWorld, applying: Applying, now: Now
) -> None:
    now.ms = AFTER
    assert (await apply(applying, wish())).phase == "closed"
    kinds = [type(command) for command in world.commands(0)]
    assert kinds[-2:] == [c.Open, c.Close]
    assert world.producer.batches[-1] == 2


async def test_the_same_again_is_the_first_answer_and_writes_nothing_but_the_opening(
    world: FoldedWorld, applying: Applying, now: Now
) -> None:
    now.ms = DURING
    first = await apply(applying, wish())
    before = len(world.commands(0))
    assert await apply(applying, wish()) == first
    assert {type(command) for command in world.commands(0)[before:]} == {c.Open}
    assert row(world).phase == Phase.OPEN


async def test_the_same_content_under_another_key_is_unchanged(world: FoldedWorld, applying: Applying) -> None:
    await apply(applying, wish())
    before = len(world.commands(0))
    applied = await apply(applying, wish(key="k-2", actor="user:mei"))
    assert applied.change == "unchanged"
    assert len(world.commands(0)) == before


async def test_an_operators_close_outlives_another_apply(
    world: FoldedWorld, applying: Applying, now: Now
) -> None:
    now.ms = DURING
    await apply(applying, wish())
    world.write(0, c.Close(id="c" * 16, campaign=NAME, actor="user:lin", why="the wrong stock"))
    for key in ("k-1", "k-2"):
        assert (await apply(applying, wish(key=key))).phase == "closed"


@pytest.mark.parametrize("stop_after", range(1, 7))
async def test_a_try_that_broke_off_goes_on_where_it_stopped(
    world: FoldedWorld, applying: Applying, stop_after: int
) -> None:
    campaign = big(450)
    told = Told()
    told.stop_after = stop_after
    with pytest.raises(ConnectionResetError):
        await applying.apply(wish(campaign), told)
    assert (await apply(applying, wish(campaign))).change == "created"
    assert len(world.commands(0, c.AddSlots)) == 3
    assert len(world.commands(0, c.DefineCampaign)) == (1 if stop_after == 6 else 2)
    assert row(world).slots_seen == 450


async def test_a_log_that_goes_away_in_the_middle_loses_nothing(world: FoldedWorld, applying: Applying) -> None:
    campaign = big(450)

    class Breaking(Told):
        async def __call__(self, step: str, done: int, of: int) -> None:
            await super().__call__(step, done, of)
            world.producer.fails_after_writing = done == 3

    with pytest.raises(Problem) as caught:
        await applying.apply(wish(campaign), Breaking())
    assert str(caught.value) == "unknown_outcome"
    with pytest.raises(Problem) as caught:
        await apply(applying, wish(campaign))
    assert str(caught.value) == "log_unavailable"
    world.producer.fails_after_writing = False
    while world.door.commit.is_away(PartitionId(0)):
        await asyncio.sleep(0.01)
    assert (await apply(applying, wish(campaign))).change == "created"
    assert row(world).slots_seen == 450


async def test_another_document_under_the_same_key_is_refused(world: FoldedWorld, applying: Applying) -> None:
    told = Told()
    told.stop_after = 1
    with pytest.raises(ConnectionResetError):
        await applying.apply(wish(), told)
    other = checked(changed("title", "en", to="Other masks"))
    with pytest.raises(Problem) as caught:
        await apply(applying, wish(other))
    assert str(caught.value) == "idempotency_key_reused"
    assert (await apply(applying, wish(other, key="k-2"))).change == "created"
    with pytest.raises(Problem) as caught:
        await apply(applying, wish())
    assert str(caught.value) == "already_defined"


async def test_a_draft_that_somebody_began_anew_is_told_and_another_key_mends_it(
    world: FoldedWorld, applying: Applying
) -> None:
    campaign = big(450)
    for key in ("k-1", "k-2"):
        told = Told()
        told.stop_after = 3
        with pytest.raises(ConnectionResetError):
            await applying.apply(wish(campaign, key=key), told)
    with pytest.raises(Problem) as caught:
        await apply(applying, wish(campaign, key="k-1"))
    assert str(caught.value) == "definition_incomplete"
    assert (await apply(applying, wish(campaign, key="k-2"))).change == "created"
    assert (await apply(applying, wish(campaign, key="k-1"))).change == "unchanged"


async def test_two_consoles_that_apply_the_same_at_once_both_succeed(
    world: FoldedWorld, secrets: Secrets, keys: ContactKeys, now: Now
) -> None:
    campaign = big(900)
    consoles = [Applying(OpsDesk(world.door, decision_timeout_s=1.0), Identities(secrets), keys, now) for _ in range(2)]
    answers: list[Any] = await asyncio.gather(
        *(console.apply(wish(campaign, key=f"k-{at}"), Told()) for at, console in enumerate(consoles)),
        return_exceptions=True,
    )
    done = [answer for answer in answers if isinstance(answer, Applied)]
    told = [str(answer) for answer in answers if isinstance(answer, Problem)]
    assert done
    assert set(told) <= {"definition_incomplete"}  # one may have begun it anew under the other
    assert row(world).phase == Phase.SCHEDULED
    assert row(world).slots_seen == 900
    for at in range(2):
        assert (await apply(applying=consoles[0], what=wish(campaign, key=f"k-{at}"))).slots == 900


async def test_a_sealed_campaign_is_not_replaced(world: FoldedWorld, applying: Applying) -> None:
    await apply(applying, wish())
    before = len(world.commands(0))
    with pytest.raises(Problem) as caught:
        await apply(applying, wish(checked(changed("slots", 0, "units", to=99)), key="k-2"))
    assert str(caught.value) == "already_defined"
    assert caught.value.members["revision"] == row(world).revision
    assert [line.partition(".")[0] for line in caught.value.members["differs"]] == ["units of 1 slots (s-1: 100 → 99)"]
    assert len(world.commands(0)) == before


async def test_a_name_that_belongs_to_another_region_is_refused(world: FoldedWorld, applying: Applying) -> None:
    await apply(applying, wish())
    with pytest.raises(Problem) as caught:
        await apply(applying, wish(checked(changed("region", to="foshan")), key="k-2"))
    assert str(caught.value) == "campaign_elsewhere"
    assert caught.value.members == {"region": REGION}


async def test_a_dry_run_changes_nothing_and_says_what_would(
    world: FoldedWorld, applying: Applying, now: Now, tmp_path: Path
) -> None:
    looked = await applying.outlook(wish())
    assert (looked.change, looked.partition, looked.commands, looked.would_open) == ("new", None, 4, False)
    now.ms = DURING
    assert (await applying.outlook(wish())).would_open
    assert world.commands(0) == []
    assert not (tmp_path / "contact").exists()


async def test_a_dry_run_tells_unfinished_unchanged_and_refused(world: FoldedWorld, applying: Applying) -> None:
    told = Told()
    told.stop_after = 2
    with pytest.raises(ConnectionResetError):
        await applying.apply(wish(), told)
    assert (await applying.outlook(wish())).change == "unfinished"
    await apply(applying, wish())
    looked = await applying.outlook(wish())
    assert (looked.change, looked.commands, looked.differs) == ("unchanged", 0, [])
    looked = await applying.outlook(wish(checked(changed("region", to="foshan"))))
    assert (looked.change, looked.differs) == ("refused", [f"region: this name belongs to a campaign of {REGION}"])


async def test_a_dry_run_names_what_differs(applying: Applying) -> None:
    await apply(applying, wish(checked(changed("rules", to={"units_max": 5, "document_types": ["passport"]}))))
    document = changed("rules", to={"units_max": 3, "document_types": ["passport"]})
    document["slots"][0] |= {"ends_at": "2020-02-03T11:00:00+08:00"}
    document["slots"][1] |= {"id": "s-3", "units": 70}
    document["pharmacies"][1] |= {"name": "Third"}
    looked = await applying.outlook(wish(checked(document)))
    assert looked.change == "refused"
    assert [line.partition(". ")[0] for line in looked.differs] == [
        "pharmacies: 1 changed (p-2)", "slots: 1 new (s-3)", "slots: 1 gone (s-2)", "slots: 1 changed (s-1)"
    ]  # fmt: skip
    assert all(line.partition(". ")[2] for line in looked.differs), "and what to do instead"


def entitled_campaign(people: int, first: int = 0) -> Campaign:
    """A campaign for so many holders of passports."""
    rows = [{"document_type": "passport", "document_number": f"E{first + at:08d}"} for at in range(people)]
    return checked(changed("rules", "eligible", to=rows))


async def test_the_entitled_are_pseudonyms_before_anything_is_written(
    world: FoldedWorld, applying: Applying, secrets: Secrets
) -> None:
    campaign = entitled_campaign(3)
    applied = await apply(applying, applying.order(campaign, actor="user:lin", why="", key="k-1"))
    assert applied.change == "created"
    people = {Identities(secrets).resident("passport", f"E{at:08d}") for at in range(3)}
    (chunk,) = world.every(c.AddEntitled)
    assert set(chunk.residents) == people
    assert all(world.row(0, f"e:1:{resident}") == 1 for resident in people)
    assert b"E0000000" not in world.values()


async def test_an_order_knows_no_documents() -> None:
    assert wish(entitled_campaign(3)).campaign.entitled == ()
    assert "E0000000" not in repr(wish(entitled_campaign(3)))


@pytest.mark.parametrize("stop_after", [4, 5, 6])
async def test_a_long_list_of_the_entitled_goes_on_where_it_stopped(
    world: FoldedWorld, applying: Applying, stop_after: int
) -> None:
    campaign = entitled_campaign(1_001)
    told = Told()
    told.stop_after = stop_after
    with pytest.raises(ConnectionResetError):
        await applying.apply(wish(campaign), told)
    assert told[-1] == ("entitled", stop_after, 7)
    assert (await apply(applying, wish(campaign))).change == "created"
    assert [len(one.residents) for one in world.every(c.AddEntitled)] == [500, 500, 1]
    assert row(world).entitled_seen == 1_001


async def test_a_dry_run_tells_other_people_on_the_list(applying: Applying) -> None:
    await apply(applying, wish(entitled_campaign(3)))
    assert (await applying.outlook(wish(entitled_campaign(3)))).change == "unchanged"
    looked = await applying.outlook(wish(entitled_campaign(4)))
    assert (looked.change, looked.differs[0].partition(".")[0]) == ("refused", "eligible: 3 → 4 people")
    looked = await applying.outlook(wish(entitled_campaign(3, first=1)))
    assert (looked.change, looked.differs[0].partition(".")[0]) == (
        "refused", "eligible: other people stand on the list"
    )  # fmt: skip


async def test_shares_are_no_difference(applying: Applying) -> None:
    document = changed("rules", "assisted", to={"per_mille": 300})
    await apply(applying, wish(checked(document)))
    looked = await applying.outlook(wish(checked(document | {"title": {"en": "Other masks"}})))
    assert (looked.change, [line.partition(":")[0] for line in looked.differs]) == (
        "changes", ["title.en", "title.zh-Hans"]
    )  # fmt: skip
