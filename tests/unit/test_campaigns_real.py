"""Real schemes as campaign files, played on the model: what their published rules say is what comes out."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from infra.campaigns.made_up import FOLDER, all_tables
from services.domain import commands as c
from services.domain.campaign import Campaign
from services.domain.campaign_times import digit_of
from services.domain.days import instant_ms, zone
from services.domain.documents import DocumentType
from services.domain.fold import apply
from services.domain.reasons import Reason
from services.domain.rows import Facts, Phase, State
from services.domain.rules.answers import Fact
from services.domain.schedule import due
from services.platform.campaign_files import load
from tests.builders import digest, genesis, invite, pair
from tests.unit.campaign_documents import pseudonym, written

FILES = sorted(FOLDER.glob("*.yaml"))
CONFIRMED = "confirmed"


class City:
    """A region in which time passes. Campaigns open and close by their windows, as by the clock."""

    def __init__(self, *names: str, at: str) -> None:
        self.state = State()
        self.campaigns = [load(FOLDER / f"{name}.yaml") for name in names]
        self.offset = at[-6:]
        self.now_ms = instant_ms(at)
        self.write(genesis())
        for campaign in self.campaigns:
            for command in written(campaign):
                self.write(command)
        self.comes(at)

    @property
    def campaign(self) -> Campaign:
        """The first one."""
        return self.campaigns[0]

    def write(self, command: c.Command) -> Facts:
        return apply(
            self.state, offset=self.state.head.position, timestamp_ms=self.now_ms, digest=0, command=command
        )

    def comes(self, at: str) -> None:
        """It is this time now; the offset may be left out."""
        self.now_ms = instant_ms(at if at[-6] in "+-" else f"{at}:00{self.offset}")
        self.write(c.Tick(at_ms=self.now_ms))
        self.write(c.Tick(at_ms=self.now_ms))
        for campaign in self.campaigns:
            for one in due(campaign.windows, self.now_ms):
                self.write(one.command(campaign.campaign, digest))

    def phase(self) -> Phase:
        return Phase(self.state.get(f"c:{self.campaign.campaign}").phase)

    def left(self, campaign: int = 0) -> int:
        row = self.state.get(f"c:{self.campaigns[campaign].campaign}")
        return int(row.left + row.assisted_left + row.reserve_left)

    def desk(self, pharmacy: str) -> str:
        """A terminal there."""
        name = f"desk-{pharmacy}"
        self.write(invite(name, region=self.campaign.region, pharmacy=pharmacy, expires_ms=self.now_ms + 1_000))
        self.write(pair(name))
        return name

    def book(
        self,
        who: str,
        slot: str,
        units: int,
        *,
        campaign: int = 0,
        phone: str = "",
        kind: DocumentType = DocumentType.PASSPORT,
        born: int | None = None,
        terminal: str = "",
        key: str = "1",
    ) -> str:
        """What comes of it, in a word. `who` is the document's number."""
        stagger = self.campaigns[campaign].rules.stagger
        found = None if stagger is None else digit_of(stagger.by, kind, who, born)
        command = c.Reserve(
            campaign=self.campaigns[campaign].campaign,
            slot=slot,
            units=units,
            resident=pseudonym(kind, who),
            pass_no=self.pass_no(who, campaign, key),
            digest="d" * 8,
            last4_hash="h" * 8,
            phone_pseudonym=digest("phone", phone or who),
            digit=-1 if found is None else found,
            terminal=terminal,
        )
        fact = self.write(command)[0]
        return CONFIRMED if fact[0] == Fact.CONFIRMED else Reason(fact[1]).word

    def pass_no(self, who: str, campaign: int = 0, key: str = "1") -> str:
        return digest("pass", campaign, who, key)

    def pick_up(self, who: str, terminal: str, campaign: int = 0) -> Facts:
        made = digest("pick up", who, campaign, self.now_ms)
        return self.write(c.PickUp(id=made, pass_no=self.pass_no(who, campaign), terminal=terminal))

    def expire(self, slot: str, campaign: int = 0) -> int:
        """No-shows of the day of a slot, as by the clock."""
        row = self.state.get(f"s:{campaign + 1}:{slot}")
        self.write(c.Expire(id=digest("expire", slot, self.now_ms), region=self.campaign.region,
                             pharmacy=row.pharmacy, day=row.day, sheet=0))  # fmt: skip
        return int(self.state.get(f"s:{campaign + 1}:{slot}").expired)


def people(count: int, prefix: str = "E") -> Iterable[str]:
    return (f"{prefix}{number:07d}" for number in range(count))


# -- the files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_campaign_file_is_right_and_marked_as_a_demonstration(file: Path) -> None:
    campaign = load(file)
    assert "demonstration" in campaign.title["en"]
    assert all(
        any(word in pharmacy.name for word in ("示范", "示範", "demonstration")) for pharmacy in campaign.pharmacies
    )
    where = zone(campaign.timezone)
    assert all(slot.units > 0 for slot in campaign.slots)
    assert where.key == campaign.timezone


def test_the_tables_are_what_the_generator_makes() -> None:
    for name, text in all_tables().items():
        assert FOLDER.joinpath(name).read_text("utf-8") == text, name


def test_campaigns_have_names_of_their_own() -> None:
    names = [load(file).campaign for file in FILES]
    assert len(set(names)) == len(names) == 8


# -- suikang-v1 ---------------------------------------------------------------------------------------------------


def test_guangzhou_gives_five_from_eight_in_the_evening_and_then_two_days_pause() -> None:
    city = City("suikang-v1", at="2020-01-31T19:59:00+08:00")
    slot = "yx-01-0201-09"
    assert city.book("E0000001", slot, 5) == "not_open"
    city.comes("2020-01-31T20:00")
    assert city.book("E0000001", slot, 6, key="2") == "units_over_limit"
    assert city.book("E0000001", slot, 5, key="3") == CONFIRMED
    assert city.book("E0000001", "yx-01-0201-12", 5, key="4") == "already_reserved"
    person = city.state.get(f"p:guangzhou:{pseudonym(DocumentType.PASSPORT, 'E0000001')}")
    assert person.cool_until_ms == instant_ms("2020-02-04T00:00:00+08:00")
    city.comes("2020-02-01T00:00")
    assert city.phase() == Phase.CLOSED


# -- zhengzhou ----------------------------------------------------------------------------------------------------


def test_zhengzhou_opens_twice_a_day_and_what_is_left_goes_on() -> None:
    city = City("zhengzhou", at="2020-02-10T09:29:00+08:00")
    phases = []
    for at in ("09:29", "09:30", "11:59", "12:00", "13:59", "14:00", "17:00"):
        city.comes(f"2020-02-10T{at}")
        phases.append(city.phase())
        if at == "11:59":
            assert city.book("E0000001", "zz-01-0211-09", 5) == CONFIRMED
        if at == "13:59":
            assert city.book("E0000002", "zz-01-0211-09", 5) == "campaign_closed"
        if at == "14:00":
            assert city.book("E0000002", "zz-01-0211-09", 5, key="2") == CONFIRMED
            assert city.book("E0000001", "zz-01-0211-09", 5, key="2") == "already_reserved"
    assert phases == [
        Phase.SCHEDULED, Phase.OPEN, Phase.OPEN, Phase.CLOSED, Phase.CLOSED, Phase.OPEN, Phase.CLOSED
    ]  # fmt: skip


def test_zhengzhou_gives_thirty_thousand_people_five_each() -> None:
    city = City("zhengzhou", at="2020-02-10T09:30:00+08:00")
    assert city.campaign.units == 150_000 == 30_000 * city.campaign.rules.units_max
    slot = "zz-07-0211-14"
    told = [city.book(who, slot, 5) for who in people(260)]
    assert told == [CONFIRMED] * 250 + ["slot_full"] * 10
    assert city.left() == 150_000 - 1_250


def test_who_did_not_come_in_zhengzhou_waits_seven_days_too() -> None:
    city = City("zhengzhou", at="2020-02-10T09:30:00+08:00")
    assert city.book("E0000001", "zz-01-0211-09", 5) == CONFIRMED
    city.comes("2020-02-12T00:06")
    assert city.expire("zz-01-0211-09") == 5
    person = city.state.get(f"p:zhengzhou:{pseudonym(DocumentType.PASSPORT, 'E0000001')}")
    assert person.cool_until_ms == instant_ms("2020-02-19T00:00:00+08:00")


# -- heyuan -------------------------------------------------------------------------------------------------------


def test_heyuan_has_twenty_thousand_and_one_orders() -> None:
    city = City("heyuan", at="2020-02-05T19:00:00+08:00")
    assert city.campaign.units == 20_001 * 5
    assert city.book("E0000001", "hy-40-0206-14", 5) == CONFIRMED
    # Everything is gone: bots and latecomers hear it at their place in the log, whatever they ask for.
    row = city.state.get("c:heyuan")
    for slot in city.campaign.slots:
        state = city.state.get(f"s:1:{slot.id}")
        state.taken = state.quota
    row.left = 0
    assert {city.book(who, "hy-01-0206-09", 5) for who in people(20, "F")} == {"sold_out"}


# -- zhanjiang ----------------------------------------------------------------------------------------------------


def test_zhanjiangs_pause_of_four_days_reaches_from_one_batch_to_the_next() -> None:
    city = City("zhanjiang", "zhanjiang-2", at="2020-02-07T10:00:00+08:00")
    early, late, cancelled, none = people(4)
    assert city.book(early, "zj-01-0208-09", 5) == CONFIRMED  # waits from the 9th to the 12th
    assert city.book(late, "zj-01-0209-09", 5) == CONFIRMED  # waits from the 10th to the 13th
    assert city.book(cancelled, "zj-01-0209-09", 5) == CONFIRMED
    city.write(c.Cancel(id="c" * 16, pass_no=city.pass_no(cancelled)))
    city.comes("2020-02-08T10:00")
    desk = city.desk("zj-01")
    assert city.pick_up(early, desk)[0][0] == Fact.PICKED_UP
    assert city.pick_up(late, desk)[0][0] == Fact.REFUSED  # each day is a pick-up window of its own
    city.comes("2020-02-09T10:00")
    assert city.pick_up(late, desk)[0][0] == Fact.PICKED_UP
    city.comes("2020-02-13T10:00")
    told = {who: city.book(who, "zj-02-0214-09", 5, campaign=1) for who in (early, late, cancelled, none)}
    assert told == {early: CONFIRMED, late: "cooling_down", cancelled: CONFIRMED, none: CONFIRMED}


# -- taiwan -------------------------------------------------------------------------------------------------------

ODD, EVEN = "00000007", "00000008"


def at_the_counter(city: City, who: str, day: str, desk: str, **more: Any) -> str:
    return city.book(who, f"tw-01-{day}-08", 2, kind=DocumentType.TAIWAN_PERMIT, terminal=desk, **more)


def test_taiwan_serves_odd_and_even_documents_on_their_days_and_everybody_on_sundays() -> None:
    city = City("taiwan-counter", at="2020-02-06T09:00:00+08:00")  # a Thursday
    desk = city.desk("tw-01")
    told = []
    for day in range(6, 13):
        city.comes(f"2020-02-{day:02d}T09:00")
        number = f"{day:07d}"
        told.append([at_the_counter(city, number + last, f"02{day:02d}", desk) for last in "78"])
    yes, no = CONFIRMED, "wrong_day"
    assert told == [[no, yes], [yes, no], [no, yes], [yes, yes], [yes, no], [no, yes], [yes, no]]


def test_in_taiwan_somebody_brings_the_card_of_one_relative() -> None:
    city = City("taiwan-counter", at="2020-02-06T09:00:00+08:00")
    desk = city.desk("tw-01")
    told = [at_the_counter(city, f"1000000{last}", "0206", desk, phone="chen") for last in "024"]
    assert told == [CONFIRMED, CONFIRMED, "household_limit"]
    city.comes("2020-02-06T12:00")
    assert city.pick_up("10000002", desk)[0][0] == Fact.PICKED_UP


def test_in_taiwan_only_the_counter_sells() -> None:
    city = City("taiwan-counter", at="2020-02-06T09:00:00+08:00")
    assert at_the_counter(city, EVEN, "0206", "") == "sold_out"
    assert at_the_counter(city, EVEN, "0206", city.desk("tw-01"), key="2") == CONFIRMED


def test_two_masks_in_seven_days_end_on_the_same_weekday() -> None:
    city = City("taiwan-counter", at="2020-02-06T09:00:00+08:00")
    at_the_counter(city, EVEN, "0206", city.desk("tw-01"))
    person = city.state.get(f"p:taipei:{pseudonym(DocumentType.TAIWAN_PERMIT, EVEN)}")
    assert person.cool_until_ms == instant_ms("2020-02-13T00:00:00+08:00")


# -- korea --------------------------------------------------------------------------------------------------------


def test_korea_serves_two_last_digits_of_the_birth_year_a_day_and_everybody_at_the_weekend() -> None:
    city = City("korea", at="2020-03-09T09:00:00+09:00")  # a Monday
    served = []
    for day in range(9, 16):
        city.comes(f"2020-03-{day:02d}T09:00")
        told = [city.book(f"M{day:02d}{last}0000", f"kr-01-03{day:02d}-09", 2, born=1980 + last) for last in range(10)]
        served.append([last for last in range(10) if told[last] == CONFIRMED])
        assert set(told) <= {CONFIRMED, "wrong_day"}
    assert served == [[1, 6], [2, 7], [3, 8], [4, 9], [0, 5], list(range(10)), list(range(10))]


def test_in_korea_two_a_week_is_one_booking_in_the_weeks_campaign() -> None:
    city = City("korea", at="2020-03-09T09:00:00+09:00")
    assert city.book("M0000001", "kr-01-0309-09", 3, born=1971) == "units_over_limit"
    assert city.book("M0000001", "kr-01-0309-09", 2, born=1971, key="2") == CONFIRMED
    city.comes("2020-03-14T09:00")
    assert city.book("M0000001", "kr-01-0314-09", 2, born=1971, key="3") == "already_reserved"


def test_a_year_of_birth_that_is_made_up_does_not_get_somebody_two() -> None:
    city = City("korea", at="2020-03-09T09:00:00+09:00")
    assert city.book("M0000001", "kr-01-0309-09", 2, born=1971) == CONFIRMED
    city.comes("2020-03-10T09:00")
    assert city.book("M0000001", "kr-01-0310-09", 2, born=1972, key="2") == "already_reserved"


# -- shanghai -----------------------------------------------------------------------------------------------------


def test_shanghai_serves_the_households_on_the_list_at_the_desk_once() -> None:
    city = City("shanghai", at="2020-02-02T09:00:00+08:00")
    assert city.campaign.rules.entitled == len(city.campaign.entitled) == 60
    slot = "sh-01-0203-09"
    desk = city.desk("sh-01")
    assert city.book("SHDEMO0001", slot, 5) == "sold_out"  # nothing is public
    assert city.book("SHDEMO0001", slot, 5, terminal=desk, key="2") == CONFIRMED
    assert city.book("SHDEMO0001", slot, 5, terminal=desk, key="3") == "already_reserved"
    assert city.book("SHDEMO9999", slot, 5, terminal=desk) == "not_eligible"
    assert city.book("SHDEMO0002", slot, 6, terminal=desk) == "units_over_limit"
    assert city.state.get(f"s:1:{slot}").assisted_taken == 5
