"""Campaign files: YAML and CSV as people and spreadsheets write them, every mistake with its file and line."""

import codecs
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.campaigns import SUIKANG_V1
from services.domain.campaign import Campaign, definition_json, revision
from services.domain.campaign_problems import CampaignInvalid
from services.domain.documents import DocumentType
from services.platform.campaign_files import MAX_CSV_BYTES, MAX_YAML_BYTES, CampaignFileUnreadable, export, load, parse
from tests.unit.campaign_documents import campaigns

YAML = """\
# A comment.
campaign: gz-2020-02
region: guangzhou
timezone: Asia/Shanghai
title: {zh-Hans: 广州口罩预约}
controller: {name: 卫健委, contact: privacy@masks.example}
appeal_contact: {phone: 0201234, hours: 08:30}
mode: first_come
windows:
  - {opens_at: 2020-02-01T20:00:00+08:00, closes_at: 2020-02-02T00:00:00+08:00}
rules: {units_max: 5}
waiting_room: {mode: off}
pharmacies: pharmacies.csv
slots: slots.csv
"""
PHARMACIES = "id,name,address,lon,lat,phone\np-1,大药房,北京路1号,113.2644,23.1291,020\np-2,康和,,,,\n"
SLOTS = """\
id,pharmacy,starts_at,ends_at,units
s-1,p-1,2020-02-03T09:00:00+08:00,2020-02-03T12:00:00+08:00,100
s-2,p-2,2020-02-03T09:00:00+08:00,2020-02-03T12:00:00+08:00,50
"""


def campaign_of(yaml_text: str = YAML, pharmacies: str = PHARMACIES, slots: str = SLOTS) -> Campaign:
    return parse("gz.yaml", reader_of({"gz.yaml": yaml_text, "pharmacies.csv": pharmacies, "slots.csv": slots}))


def reader_of(texts: Mapping[str, str | bytes]) -> Callable[[str], bytes]:
    def read(name: str) -> bytes:
        if name not in texts:
            raise FileNotFoundError(2, "No such file or directory", name)
        text = texts[name]
        return text if isinstance(text, bytes) else text.encode()

    return read


def problems_of(yaml_text: str = YAML, pharmacies: str = PHARMACIES, slots: str = SLOTS) -> list[str]:
    with pytest.raises(CampaignInvalid) as caught:
        campaign_of(yaml_text, pharmacies, slots)
    return [str(problem) for problem in caught.value.problems]


def test_a_file_means_what_it_looks_like() -> None:
    campaign = campaign_of()
    assert campaign.appeal_contact.phone == "0201234"  # not a number in base 8
    assert campaign.appeal_contact.hours == "08:30"  # not a number in base 60
    assert campaign.pharmacies[0].name == "大药房"
    assert campaign.units == 150


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode(),
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.encode("gb18030"),
        lambda text: text.replace("\n", "\r\n").encode("gb18030"),
        lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
    ],
    ids=["utf-8", "utf-8 with a mark", "gb18030", "gb18030 of a spreadsheet", "utf-8 of a spreadsheet"],
)
def test_utf_8_with_and_without_a_mark_and_gb18030_are_the_same_campaign(encode: Callable[[str], bytes]) -> None:
    texts = {"gz.yaml": YAML, "pharmacies.csv": PHARMACIES, "slots.csv": SLOTS}
    campaign = parse("gz.yaml", lambda name: encode(texts[name]))
    assert campaign == campaign_of()
    assert revision(campaign) == revision(campaign_of())


@given(campaign=campaigns())
@settings(max_examples=60)
def test_what_is_exported_is_read_back_as_the_same_campaign(campaign: Campaign) -> None:
    texts = export(campaign)
    assert parse(next(iter(texts)), reader_of(texts)) == campaign


def test_a_campaign_is_read_from_a_folder(tmp_path: Path) -> None:
    for name, text in export(campaign_of()).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert load(tmp_path / "gz-2020-02.yaml") == campaign_of()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("mode: first_come", "mode: lottery", "gz.yaml:8: mode: `lottery` is not enforced by this version"),
        ("units_max: 5}", "units_max: 5, claim_h: 2}", "gz.yaml:11: rules.claim_h: is not enforced"),
        ("units_max: 5}", "units_max: 5, eligible: 110105}", "gz.yaml:11: rules.eligible: has to name a CSV file"),
        ("units_max: 5}", "units_max: 5, eligible: ../a.csv}", "gz.yaml:11: rules.eligible: '../a.csv' is no plain"),
        ("units_max: 5}", "units_max: 5, eligible: a.csv}", "a.csv: cannot be read: No such file or directory"),
        ("timezone: Asia/Shanghai", "timezone: Asia/Guangzhou", "gz.yaml:4: timezone: There is no time zone"),
        ("region: guangzhou\n", "", "gz.yaml:2: region: is missing"),
        ("region: guangzhou", "regoin: guangzhou", "gz.yaml:3: regoin: is unknown here; did you mean `region`?"),
        ("closes_at: 2020-02-02T00:00:00+08:00", "closes_at: 2020-02-02", "gz.yaml:10: windows[1].closes_at: "),
        ("region: guangzhou", "campaign: again", "gz.yaml:3: campaign: stands here twice; the first is on line 2"),
        ("region: guangzhou", "region: &r guangzhou", "gz.yaml:3: is no YAML: anchors"),
        ("region: guangzhou", "region: *r", "gz.yaml:3: is no YAML: anchors"),
        ("region: guangzhou", "region: !!python/name:os.system x", "gz.yaml:3: is no YAML: anchors"),
        ("region: guangzhou", "region: !!int x", "gz.yaml:3: is no YAML: anchors"),
        ("region: guangzhou", "region: {guangzhou", "is no YAML: "),
        ("region: guangzhou", "region: a\x07b", "is no YAML: "),
        ("region: guangzhou", "? [a]\n: b", "gz.yaml:3: ?: is unknown here"),
        ("waiting_room: {mode: off}", "---", "is no YAML: "),
        ("slots: slots.csv", "slots: ../slots.csv", "gz.yaml:14: slots: '../slots.csv' is no plain file name"),
        ("slots: slots.csv", "slots: /etc/passwd", "gz.yaml:14: slots: '/etc/passwd' is no plain file name"),
        ("slots: slots.csv", "slots: slot.csv", "slot.csv: cannot be read: No such file or directory"),
        ("slots: slots.csv", "slots: 5", "gz.yaml:14: slots: is missing; name a CSV file"),
    ],
)
def test_a_mistake_in_the_yaml_is_told_with_its_line(old: str, new: str, told: str) -> None:
    assert old in YAML
    problems = problems_of(YAML.replace(old, new))
    assert [problem for problem in problems if problem.startswith(told) or (told.startswith("is") and told in problem)]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("s-2,p-2,", "s-2,p-9,", "slots.csv:3: pharmacy: 'p-9' is no pharmacy of pharmacies.csv; add it there"),
        ("s-2,p-2,", "s-1,p-2,", "slots.csv:3: id: 's-1' is the slot of line 2 already"),
        (",100\n", ",0\n", "slots.csv:2: units: '0' is no whole number from 1 to 1000000"),
        (",100\n", ",=1+1\n", "slots.csv:2: units: '=1+1' is no whole number"),
        (",100\n", ",100,\n", "slots.csv:2: has 6 cells under 5 columns; look at its commas"),
        ("T12:00:00+08:00,100", "T08:00:00+08:00,100", "slots.csv:2: ends_at: is not after starts_at"),
        ("T12:00:00+08:00,100", "T12:00:00,100", "slots.csv:2: ends_at: '2020-02-03T12:00:00' has no offset"),
        ("units\n", "quota\n", "slots.csv:1: units: missing among the columns; the first line names them: id, phar"),
        ("units\n", "quota\n", "slots.csv:1: quota: unknown as a column; known are id, pharmacy"),
        ("pharmacy,starts_at", "pharmacy,pharmacy", "slots.csv:1: names the same column twice"),
        (SLOTS, "", "slots.csv:1: id, pharmacy, starts_at, ends_at, units: missing among the columns"),
        (SLOTS, SLOTS.replace(",", ";"), "slots.csv:1: is not separated by commas"),
        (SLOTS, SLOTS.splitlines()[0], "slots.csv: has no rows"),
        ("s-2,p-2", '"s-2,p-2', "slots.csv:3: is no CSV from here on: unexpected end of data"),
    ],
)
def test_a_mistake_in_a_table_is_told_with_its_line(old: str, new: str, told: str) -> None:
    assert old in SLOTS
    problems = problems_of(slots=SLOTS.replace(old, new))
    assert [problem for problem in problems if problem.startswith(told)], problems


def test_mistakes_of_all_files_are_told_at_once_in_the_order_of_the_files() -> None:
    problems = problems_of(
        YAML.replace("first_come", "lottery").replace("units_max: 5", "units_max: no"),
        PHARMACIES.replace("p-2,康和", "p-2,"),
        SLOTS.replace(",100", ",-1").replace("s-2,p-2", "s-2,p-3"),
    )
    assert [problem.split(": ")[0] for problem in problems] == [
        "gz.yaml:8",
        "gz.yaml:11",
        "pharmacies.csv:3",
        "slots.csv:2",
        "slots.csv:3",
    ]


def test_slots_are_still_checked_when_the_pharmacies_cannot_be_read() -> None:
    problems = problems_of(YAML.replace("pharmacies: pharmacies.csv", "pharmacies: p.csv"), slots=SLOTS + "s-3,,,,\n")
    assert any(problem.startswith("p.csv: cannot be read") for problem in problems)
    assert any(problem.startswith("slots.csv:4: units") for problem in problems)
    assert not any("is no pharmacy" in problem for problem in problems)


def test_lines_are_counted_over_cells_with_line_breaks_and_empty_rows() -> None:
    pharmacies = PHARMACIES.replace("大药房", '"大药房\n二楼"') + ",,,,,\n\np-3,,,,,\n"
    problems = problems_of(pharmacies=pharmacies)
    assert problems[0].startswith("pharmacies.csv:2: name: has a line break")
    assert problems[1].startswith("pharmacies.csv:7: name: is empty")


def test_columns_may_stand_in_any_order_with_blanks_and_capitals() -> None:
    rows = [line.split(",") for line in SLOTS.splitlines()]
    turned = "\n".join(" , ".join(reversed(row)) for row in rows).replace("units", "Units")
    assert campaign_of(slots=turned) == campaign_of()


ENTITLED = "document_type,document_number\ncn_resident_id,11010519491231002X\npassport, e12345678\n"
SECRET = "11010519491231002"


def entitled_of(content: bytes) -> Campaign:
    texts = {
        "gz.yaml": YAML.replace("units_max: 5", "units_max: 5, eligible: people.csv").encode(),
        "pharmacies.csv": PHARMACIES.encode(),
        "slots.csv": SLOTS.encode(),
        "people.csv": content,
    }
    return parse("gz.yaml", reader_of(texts))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_list_of_the_entitled_is_read_beside_the_campaign(encoding: str) -> None:
    campaign = entitled_of((ENTITLED + "military_id,军字第1234567号\n").encode(encoding))
    assert campaign.rules.entitled == 3
    numbers = [one.document_number for one in campaign.entitled]
    assert numbers == ["11010519491231002X", "E12345678", "军1234567"]
    assert SECRET not in definition_json(campaign)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (ENTITLED.partition("\n")[2], "people.csv:1: unknown as a column; known are document_type, document_number"),
        (ENTITLED.replace("002X", "0021"), "people.csv:2: document_number: This cannot be the number"),
        (ENTITLED.replace("cn_resident_id,", ""), "people.csv:2: has 1 cells under 2 columns"),
        (ENTITLED + "passport,E 1234-5678\n", "people.csv:4: document_number: is the one of line 3 again"),
        (ENTITLED + f'passport,"{SECRET}\n', "people.csv:4: is no CSV from here on"),
        (ENTITLED.replace(",", ";"), "people.csv:1: is not separated by commas"),
        ("document_type,document_number\n", "people.csv: has no rows; without anybody on the list"),
    ],
)
def test_a_mistake_in_the_list_of_the_entitled_is_told_with_its_line_and_without_a_number(text: str, told: str) -> None:
    with pytest.raises(CampaignInvalid) as caught:
        entitled_of(text.encode())
    problems = [str(problem) for problem in caught.value.problems]
    assert any(problem.startswith(told) for problem in problems), problems
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("id,name".encode("utf-16"), "is UTF-16; save it again as UTF-8"),
        (b"id,name\np-1,\xff\xff\n", "is neither UTF-8 nor GB18030"),
        (b"x" * (MAX_CSV_BYTES + 1), f"has more than {MAX_CSV_BYTES} bytes"),
    ],
    ids=["utf-16", "bytes", "too large"],
)
def test_what_is_no_text_of_a_table_is_told_so(content: bytes, told: str) -> None:
    texts = {"gz.yaml": YAML.encode(), "pharmacies.csv": content, "slots.csv": SLOTS.encode()}
    with pytest.raises(CampaignInvalid) as caught:
        parse("gz.yaml", reader_of(texts))
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"pharmacies.csv: {told}")


@pytest.mark.parametrize(
    "text",
    ["", "[" * 100_000, "a: " * 50_000, "- " * 50_000, "x" * (MAX_YAML_BYTES + 1), "{" * 3_000 + "}" * 3_000, "\x00"],
    ids=["empty", "deep lists", "deep keys", "deep items", "too large", "deep mappings", "nothing"],
)
def test_a_yaml_file_of_any_shape_is_answered_in_words(text: str) -> None:
    assert len(problems_of(text)) == 1


pieces = st.lists(
    st.sampled_from(
        [*YAML.splitlines(), "- ", "  ", "{", "}", "[", "]", ": ", '"', "\\ud800", '"\\ud800": "\\0"', "\n", "a", "\t"]
    )
)


@given(mixed=pieces, data=st.data())
@settings(max_examples=100)
def test_a_file_of_any_content_is_a_campaign_or_answered_in_words(mixed: list[str], data: st.DataObject) -> None:
    yaml_text = data.draw(st.sampled_from([YAML, "\n".join(mixed), "".join(mixed), YAML + "\n".join(mixed)]))
    table = st.binary(max_size=200) | st.text(max_size=100).map(lambda text: (SLOTS + text).encode(errors="replace"))
    tables: dict[str, str | bytes] = {"pharmacies.csv": data.draw(table), "slots.csv": data.draw(table)}
    with contextlib.suppress(CampaignInvalid):
        campaign = parse("gz.yaml", reader_of(tables | {"gz.yaml": yaml_text}))
        assert campaign.units
    with pytest.raises(CampaignInvalid) as caught:
        parse("gz.yaml", reader_of(tables | {"gz.yaml": yaml_text.replace("region", "\u202e")}))
    assert str(caught.value).encode()


def test_what_a_file_holds_cannot_steer_a_terminal() -> None:
    (problem,) = problems_of(YAML + '"\\e[2Jcolour\\ud800": 1\n')
    assert problem.startswith("gz.yaml:15: \\x1b[2Jcolour\\ud800: is unknown here")


@pytest.mark.parametrize("name", ['"s\\0.csv"', ".", "..", '""', '"\\e[2J.csv"', "a\\b.csv"])
def test_a_table_with_a_strange_name_is_not_looked_for(name: str) -> None:
    assert any("is no plain file name" in problem for problem in problems_of(YAML.replace("slots.csv", name)))


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(CampaignFileUnreadable, match="gz.yaml cannot be read: No such file or directory"):
        load(tmp_path / "gz.yaml")


def test_tables_may_stand_in_the_yaml_file_itself() -> None:
    rows = """\
pharmacies:
  - {id: p-1, name: 大药房, lon: 113.2644, lat: 23.1291, phone: 020, address: 北京路1号}
  - {id: p-2, name: 康和}
slots:
  - {id: s-1, pharmacy: p-1, starts_at: 2020-02-03T09:00:00+08:00, ends_at: 2020-02-03T12:00:00+08:00, units: 100}
  - {id: s-2, pharmacy: p-2, starts_at: 2020-02-03T09:00:00+08:00, ends_at: 2020-02-03T12:00:00+08:00, units: 50}
"""
    text = YAML.replace("pharmacies: pharmacies.csv\nslots: slots.csv\n", rows)
    assert campaign_of(text) == campaign_of()
    (problem,) = problems_of(text.replace("units: 50", "units: many"))
    assert problem.startswith("gz.yaml:18: units: 'many' is no whole number")


def test_guangzhous_first_evening_is_a_campaign_of_seven_kinds_of_documents_and_five_masks() -> None:
    campaign = load(SUIKANG_V1)
    assert campaign.rules.units_max == 5
    assert campaign.rules.document_types == tuple(DocumentType)
    assert len(campaign.pharmacies) == 100
    assert all("示范" in pharmacy.name for pharmacy in campaign.pharmacies)
    assert (campaign.windows[0].closes_ms - campaign.windows[0].opens_ms) == 4 * 3_600_000
    assert campaign.rules.cool_down_days == 2
