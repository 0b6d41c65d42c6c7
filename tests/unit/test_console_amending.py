"""A file is applied again in mid-campaign: rules, texts and later windows change, and everything else is refused."""

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given

from services.console.amendment import WINDOWS_STAY_MS, has_the_tables
from services.console.applying import Applying, order
from services.console.contract import Applied
from services.console.desk import OpsDesk
from services.domain import commands as c
from services.domain import fold
from services.domain.campaign import Campaign, Definition, definition_json, revision
from services.domain.days import instant_ms
from services.domain.rows import CampaignRow, Phase
from services.domain.rules import definition
from services.platform.contact import ContactKeys
from services.platform.identities import Identities
from services.platform.problems import Problem
from services.platform.secrets import Secrets
from services.state.catalogue import CampaignView
from tests.builders import MINUTE_MS, digest
from tests.unit.campaign_documents import ABSENT, RIGHT, campaigns, checked, pseudonym
from tests.unit.folded_world import FoldedWorld

NAME = "gz-2020-02"
RULES: dict[str, Any] = {
    "units_max": 5, "document_types": ["cn_resident_id", "passport"], "household_max": 3, "cool_down_days": 2,
    "stagger": {"by": "document_digit", "days": {"sat": [1, 3]}},
    "assisted": {"per_mille": 300, "release_h": 12}, "reserve_per_mille": 20, "pickup_grace_h": 2,
    "waiting_list": {"per_mille": 500, "promote_until_h": 4}, "change_until_h": 6,
}  # fmt: skip
SATURDAY = {"opens_at": "2020-02-01T20:00:00+08:00", "closes_at": "2020-02-02T00:00:00+08:00"}
SUNDAY = {"opens_at": "2020-02-02T10:00:00+08:00", "closes_at": "2020-02-02T12:00:00+08:00"}
DURING = instant_ms("2020-02-01T21:00:00+08:00")
FILE = {**RIGHT, "rules": RULES, "windows": [SATURDAY, SUNDAY]}


def changed_file(rules: Any = None, **changes: Any) -> Campaign:
    """The file with other keys, and with other rules; one that is ABSENT is taken out."""
    merged = {name: value for name, value in (RULES | (rules or {})).items() if value is not ABSENT}
    return checked({**FILE, "rules": merged, **changes})


class Console:
    """A console that is asked by a person who names a new key each time."""

    def __init__(self, world: FoldedWorld, applying: Applying) -> None:
        self.world = world
        self.applying = applying
        self.now_ms = DURING
        self.keys = 0

    async def apply(self, campaign: Campaign, key: str = "") -> Applied:
        self.keys += 1

        async def tell(*_: object) -> None: ...

        return await self.applying.apply(self._order(campaign, key or f"k-{self.keys}"), tell)

    async def looks(self, campaign: Campaign) -> tuple[str, list[str]]:
        """What would be, and the places that differ."""
        told = await self.applying.outlook(self._order(campaign, "look"))
        return told.change, [line.partition(":")[0] for line in told.differs]

    def _order(self, campaign: Campaign, key: str) -> Any:
        return order(campaign, pseudonym, actor="user:lin", why="too many for one phone", key=key)

    @property
    def row(self) -> CampaignRow:
        found = self.world.row(0, f"c:{NAME}")
        assert isinstance(found, CampaignRow)
        return copy.deepcopy(found)  # the model changes it in place


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Secrets:
    folder = tmp_path_factory.mktemp("installation")
    folder.chmod(0o700)
    return Secrets.create(folder / "secrets")


@pytest.fixture
async def console(secrets: Secrets, tmp_path: Path) -> AsyncIterator[Console]:
    """A console that has applied the file, in the middle of the first window."""
    world = FoldedWorld(partitions=2, now_ms=DURING)
    async with world.running():
        desk, keys = OpsDesk(world.door, decision_timeout_s=1.0), ContactKeys(tmp_path / "contact")
        applying = Applying(desk, Identities(secrets), keys, lambda: asked.now_ms)
        asked = Console(world, applying)
        assert (await asked.apply(checked(FILE))).phase == "open"
        yield asked


# -- what may be changed -----------------------------------------------------------------------------------------------


async def test_other_rules_are_shown_and_then_in_force(console: Console) -> None:
    asked = changed_file({"household_max": 1, "units_max": 2})
    assert await console.looks(asked) == ("changes", ["rules.units_max", "rules.household_max"])
    assert console.row.units_max == 5
    applied = await console.apply(asked)
    assert (applied.change, applied.phase, applied.revision) == ("changed", "open", console.row.revision)
    assert (console.row.units_max, console.row.household_max) == (2, 1)
    (change,) = console.world.every(c.ChangeRules)
    assert (change.actor, change.why) == ("user:lin", "too many for one phone")
    assert console.world.door.catalogue.get(NAME).definition.rules.household_max == 1  # type: ignore[union-attr]
    assert await console.looks(asked) == ("unchanged", [])


@pytest.mark.parametrize(
    ("rules", "place"),
    [
        ({"household_max": ABSENT}, "rules.household_max"),
        ({"cool_down_days": ABSENT}, "rules.cool_down_days"),
        ({"stagger": ABSENT}, "rules.stagger"),
        ({"stagger": {"by": "document_digit", "days": {"sun": [2]}}}, "rules.stagger"),
        ({"waiting_list": ABSENT}, "rules.waiting_list"),
        ({"waiting_list": {"per_mille": 900, "promote_until_h": 4}}, "rules.waiting_list"),
        ({"document_types": ["passport"]}, "rules.document_types"),
    ],
)
async def test_a_rule_can_be_changed_and_changed_back(console: Console, rules: dict[str, Any], place: str) -> None:
    before = console.row
    asked = changed_file(rules)
    assert await console.looks(asked) == ("changes", [place])
    assert (await console.apply(asked)).change == "changed"
    assert (await console.apply(checked(FILE))).change == "changed"
    assert (await console.apply(asked)).change == "changed", "also a second time"
    assert (await console.apply(checked(FILE))).change == "changed"
    after = console.row
    if place == "rules.stagger" and rules["stagger"] is ABSENT:
        assert after.stagger[0][0] > before.stagger[0][0], "doors have a minute to read of it"
        after.stagger = before.stagger
    assert after == before


async def test_texts_are_changed(console: Console) -> None:
    texts = {"title": {"en": "Masks"}, "controller": {"name": "HC", "contact": "x"}, "appeal_contact": {"phone": "1"}}
    asked = changed_file(**texts)
    change, places = await console.looks(asked)
    assert change == "changes"
    assert places == ["title.en", "title.zh-Hans", "controller.name", "controller.contact", "appeal_contact.phone"]
    assert (await console.apply(asked)).change == "changed"


async def test_a_file_that_knows_nothing_of_other_quotas_may_still_change_rules(console: Console) -> None:
    """Desks change quotas all day; the file has those of the beginning."""
    quota = c.ChangeQuota(id="q" * 16, campaign=NAME, slot="s-1", change=50)
    console.world.write(0, quota, at_ms=DURING)
    asked = changed_file({"units_max": 2})
    assert await console.looks(asked) == ("changes", ["rules.units_max"])
    assert (await console.apply(asked)).units == 200
    slots: list[Any] = [dict(slot) for slot in RIGHT["slots"]]
    slots[0]["units"] = 150  # what an export tells
    assert (await console.apply(changed_file({"units_max": 3}, slots=slots))).units == 200
    slots[0]["units"] = 151
    assert await console.looks(changed_file({"units_max": 3}, slots=slots)) == (
        "refused", ["units of 1 slots (s-1"]
    )  # fmt: skip


async def test_rows_in_another_order_are_another_revision_and_nothing_else(console: Console) -> None:
    asked = changed_file(slots=list(reversed(RIGHT["slots"])))
    assert await console.looks(asked) == ("changes", ["tables"])
    assert (await console.apply(asked)).change == "changed"
    assert console.row.units_max == 5


# -- what may not ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        (changed_file({"cool_down_days": 3}), "rules.cool_down_days"),
        (changed_file({"waiting_list": {"per_mille": 500, "promote_until_h": 5}}), "rules.waiting_list"),
        (changed_file({"stagger": {"by": "birth_year_digit", "days": {"sat": [1, 3]}}}), "rules.stagger"),
        (changed_file({"assisted": {"per_mille": 300, "release_h": 11}}), "rules.assisted"),
        (changed_file({"assisted": ABSENT}), "rules.assisted"),
        (changed_file({"reserve_per_mille": 21}), "rules.reserve_per_mille"),
        (changed_file({"pickup_grace_h": 3}), "rules.pickup_grace_h"),
        (changed_file({"change_until_h": 7}), "rules.change_until_h"),
        (changed_file({"eligible": [{"document_type": "passport", "document_number": "E00000001"}]}), "eligible"),
        (changed_file(delete_after_days=15), "delete_after_days"),
        (changed_file(windows=[SUNDAY]), "windows"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_people_have_booked_by_stays_and_the_refusal_says_what_to_do(
    console: Console, asked: Campaign, place: str
) -> None:
    before, written = console.row, len(console.world.commands(0))
    with pytest.raises(Problem) as caught:
        await console.apply(msgspec.structs.replace(asked, title={"en": "Also another title"}))
    assert str(caught.value) == "already_defined"
    (line,) = caught.value.members["differs"]
    assert line.startswith(f"{place}:")
    assert line.partition(". ")[2], line
    assert (console.row, len(console.world.commands(0))) == (before, written)


async def test_a_rule_that_needs_times_in_the_slots_is_not_switched_on_where_they_have_none(console: Console) -> None:
    rules = {"cool_down_days": ABSENT, "waiting_list": ABSENT}
    bare = changed_file(rules, campaign="bare")
    await console.apply(bare)
    for rule in ("cool_down_days", "waiting_list"):
        asked = changed_file({**rules, rule: RULES[rule]}, campaign="bare")
        assert await console.looks(asked) == ("refused", [f"rules.{rule}"])


async def test_no_key_for_phones_is_made_for_a_deletion_day_that_is_refused(console: Console, tmp_path: Path) -> None:
    with pytest.raises(Problem):
        await console.apply(changed_file(delete_after_days=15))
    assert len(list((tmp_path / "contact").glob("*.key"))) == 1


# -- windows -----------------------------------------------------------------------------------------------------------


def window(opens: str, closes: str) -> dict[str, str]:
    return {"opens_at": f"2020-02-{opens}:00+08:00", "closes_at": f"2020-02-{closes}:00+08:00"}


@pytest.mark.parametrize(
    ("windows", "is_safe"),
    [
        ([SATURDAY], True),  # what has not begun is taken away
        ([SATURDAY, SUNDAY, window("02T14:00", "02T15:00")], True),
        ([SATURDAY, window("02T00:00", "02T12:00")], True),
        ([window("01T20:00", "02T01:00"), SUNDAY], True),  # the one that is open closes later
        ([window("01T20:00", "01T22:00"), SUNDAY], True),
        ([SATURDAY, window("02T08:00", "02T09:00"), SUNDAY], True),  # one in between: the next one has another number
        ([window("01T19:59", "02T00:00"), SUNDAY], False),
        ([window("01T08:00", "01T09:00"), SATURDAY, SUNDAY], False),  # in front: what is open would be another one
        ([SUNDAY], False),
        ([window("01T20:00", "01T20:59"), SUNDAY], False),  # would have closed
        ([window("01T20:00", "01T21:10"), SUNDAY], False),  # closes within ten minutes
        ([window("01T20:00", "01T21:11"), SUNDAY], True),
    ],
)
async def test_windows_change_where_no_opening_and_no_closing_can_come_twice_or_be_left_out(
    console: Console, windows: list[dict[str, str]], is_safe: bool
) -> None:
    change, places = await console.looks(changed_file(windows=windows))
    assert (change, places[0]) == ("changes" if is_safe else "refused", "windows")


@pytest.mark.parametrize(("before_ms", "is_safe"), [(WINDOWS_STAY_MS + 1, True), (WINDOWS_STAY_MS, False)])
async def test_what_closes_within_ten_minutes_closes_as_was_told(
    console: Console, before_ms: int, is_safe: bool
) -> None:
    console.now_ms = instant_ms(SATURDAY["closes_at"]) - before_ms
    change, _ = await console.looks(changed_file(windows=[window("01T20:00", "02T01:00"), SUNDAY]))
    assert change == ("changes" if is_safe else "refused")


async def test_a_campaign_that_is_over_is_given_another_window(console: Console) -> None:
    console.now_ms = instant_ms(SUNDAY["closes_at"]) + MINUTE_MS
    asked = changed_file(windows=[SATURDAY, SUNDAY, window("02T18:00", "02T19:00")])
    assert (await console.apply(asked)).change == "changed"
    console.now_ms = instant_ms("2020-02-02T18:30:00+08:00")
    assert (await console.apply(asked)).change == "unchanged"
    assert console.row.phase == Phase.OPEN


# -- once --------------------------------------------------------------------------------------------------------------


async def test_the_same_key_again_changes_nothing_and_has_the_first_answer(console: Console) -> None:
    asked = changed_file({"units_max": 2})
    first = await console.apply(asked, key="the-key")
    assert await console.apply(asked, key="the-key") == first
    assert len(console.world.every(c.ChangeRules)) == 1


async def test_a_try_that_comes_after_the_change_was_taken_back_is_told_so(console: Console) -> None:
    asked = changed_file({"units_max": 2})
    await console.apply(asked, key="the-key")
    await console.apply(checked(FILE))
    with pytest.raises(Problem) as caught:
        await console.apply(asked, key="the-key")
    assert (str(caught.value), caught.value.members) == ("revision_changed", {"revision": console.row.revision})
    assert console.row.units_max == 5


@pytest.mark.safety
async def test_of_two_who_change_at_once_one_is_told_that_the_other_was_faster(console: Console) -> None:
    assert str(await overtaken(console)) == "revision_changed"
    assert console.row.units_max == 4


@pytest.mark.control
async def test_without_the_comparison_in_the_fold_the_second_undoes_the_first_unseen(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def whatever_is_in_force(state: Any, command: c.ChangeRules) -> Any:
        row = state.get(f"c:{command.campaign}")
        return definition.change_rules(state, msgspec.structs.replace(command, before=row.revision))

    rules: dict[Any, Any] = fold.RULES
    monkeypatch.setitem(rules, c.ChangeRules, whatever_is_in_force)
    assert await overtaken(console) is None
    assert console.row.household_max == 1
    assert console.row.units_max == 5


async def overtaken(console: Console) -> Problem | None:
    """Somebody changes the units between another one's look and their change of the household; what the latter hear."""
    look = console.applying._amending.look
    others = changed_file({"units_max": 4})

    async def slow_look(asked: Campaign, entitled: Any) -> Any:
        found = await look(asked, entitled)
        of_revision = revision(others)
        change = c.ChangeRules(
            id=digest("others"), campaign=NAME, before=console.row.revision, revision=of_revision, units_max=4,
            definition=definition_json(others), rules=c.CampaignRules(assisted_per_mille=300, reserve_per_mille=20),
        )  # fmt: skip
        console.world.write(0, change, at_ms=DURING)
        return found

    console.applying._amending.look = slow_look  # type: ignore[method-assign]
    try:
        await console.apply(changed_file({"household_max": 1}))
    except Problem as problem:
        return problem
    return None


@given(campaigns())
def test_a_campaign_has_its_own_tables_and_no_others(campaign: Campaign) -> None:
    entitled = [pseudonym(one.document_type, one.document_number) for one in campaign.entitled]
    bare = msgspec.structs.replace(campaign, entitled=())
    row = CampaignRow(1, revision(bare, entitled), bare.region, int(Phase.OPEN), 1, 1, 1)
    view = CampaignView(bare.campaign, 0, row, msgspec.json.decode(definition_json(bare), type=Definition), {}, {})
    assert has_the_tables(view, bare, entitled)
    assert not has_the_tables(view, bare, [*entitled, "somebody-else-16"])
    other = msgspec.structs.replace(bare.slots[0], units=bare.slots[0].units + 1)
    assert not has_the_tables(view, msgspec.structs.replace(bare, slots=(other, *bare.slots[1:])), entitled)
