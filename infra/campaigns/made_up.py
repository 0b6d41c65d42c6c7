"""Invented pharmacies and stock for the campaign files of real schemes: rules are published, shops of the time are not.

    python -m infra.campaigns.made_up      # writes the tables beside this file again

Every name says that it is a demonstration; only towns and streets are real. Nothing is drawn by chance, so that the
tables are the same wherever they are made.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
PHARMACY_HEADER = ("id", "name", "address", "lon", "lat", "phone")
SLOT_HEADER = ("id", "pharmacy", "starts_at", "ends_at", "units")
NAMES = ("永安", "长寿", "济健", "春和", "福林", "瑞堂", "仁泰", "德安", "民康", "宁源")


class Street(NamedTuple):
    """A street with a point on it."""

    district: str
    name: str
    lon: float
    lat: float


class Scheme(NamedTuple):
    """The tables of one campaign. Each shop has each time once; units are shared out, the last slot has the rest."""

    campaign: str
    tables: str  # the first part of their names
    prefix: str
    name: str  # of a shop, with places for {first}, {district}, {number}
    address: str  # with places for {district}, {street}, {house}
    streets: Sequence[Street]
    shops: int
    offset: str  # from UTC
    times: Sequence[tuple[str, str, str]]  # day YYYY-MM-DD, from and to HH:MM
    units: int


def week(first_day: int, month: int, starts: str, ends: str, days: int = 7) -> list[tuple[str, str, str]]:
    """The same hours on days in a row of 2020."""
    return [(f"2020-{month:02d}-{first_day + day:02d}", starts, ends) for day in range(days)]


SIMPLIFIED = ("{first}大药房（{district}示范{number}号店）", "{district}{street}{house}号")
ZHANJIANG = (
    Street("湛江市赤坎区", "中山一路", 110.366, 21.271),
    Street("湛江市霞山区", "人民大道南", 110.403, 21.192),
    Street("湛江市麻章区", "政通西路", 110.334, 21.264),
)
SCHEMES = (
    Scheme(
        "zhengzhou", "zhengzhou", "zz", *SIMPLIFIED,
        [Street("郑州市金水区", "花园路", 113.679, 34.786), Street("郑州市二七区", "大学路", 113.641, 34.741),
         Street("郑州市中原区", "建设西路", 113.601, 34.752), Street("郑州市管城区", "紫荆山路", 113.682, 34.748)],
        60, "+08:00", [("2020-02-11", "09:00", "12:00"), ("2020-02-11", "14:00", "18:00")], 150_000,
    ),
    Scheme(
        "heyuan", "heyuan", "hy", *SIMPLIFIED,
        [Street("河源市源城区", "建设大道", 114.698, 23.741), Street("河源市源城区", "兴源路", 114.691, 23.736),
         Street("河源市江东新区", "滨江大道", 114.723, 23.728)],
        40, "+08:00", [("2020-02-06", "09:00", "12:00"), ("2020-02-06", "14:00", "18:00")], 100_005,
    ),
    Scheme(
        "zhanjiang-1", "zhanjiang", "zj", *SIMPLIFIED,
        ZHANJIANG, 40, "+08:00", [("2020-02-08", "09:00", "18:00"), ("2020-02-09", "09:00", "18:00")], 40_000,
    ),
    Scheme(
        "zhanjiang-2", "zhanjiang-2", "zj", *SIMPLIFIED,
        ZHANJIANG, 40, "+08:00", [("2020-02-14", "09:00", "18:00"), ("2020-02-15", "09:00", "18:00")], 40_000,
    ),
    Scheme(
        "shanghai", "shanghai", "sh", *SIMPLIFIED,
        [Street("上海市徐汇区", "天平路", 121.437, 31.201), Street("上海市静安区", "南京西路", 121.455, 31.229),
         Street("上海市杨浦区", "四平路", 121.506, 31.281)],
        12, "+08:00", week(3, 2, "09:00", "18:00"), 4_200,
    ),
    Scheme(
        "taiwan-2020-02-06", "taiwan-counter", "tw", "示範藥局{number}號（{district}）", "{district}{street}{house}號",
        [Street("臺北市大安區", "和平東路", 121.538, 25.026), Street("臺北市信義區", "忠孝東路", 121.563, 25.041),
         Street("臺北市中山區", "民權東路", 121.533, 25.063)],
        20, "+08:00", week(6, 2, "08:00", "21:00"), 28_000,
    ),
    Scheme(
        "seoul-2020-03-09", "korea", "kr", "시범약국 {number} (demonstration)", "{district} {street} {house}",
        [Street("서울 종로구", "종로", 126.983, 37.570), Street("서울 마포구", "양화로", 126.921, 37.555),
         Street("서울 강남구", "테헤란로", 127.037, 37.500)],
        20, "+09:00", week(9, 3, "09:00", "22:00"), 35_000,
    ),
)  # fmt: skip


def tables(scheme: Scheme) -> dict[str, str]:
    """The two tables by file name."""
    return {
        f"{scheme.tables}-pharmacies.csv": _csv(PHARMACY_HEADER, _pharmacies(scheme)),
        f"{scheme.tables}-slots.csv": _csv(SLOT_HEADER, _slots(scheme)),
    }


def households(count: int = 60) -> str:
    """A list of the entitled that nobody is on: its documents belong to no one."""
    rows = [("passport", f"SHDEMO{number:04d}") for number in range(1, count + 1)]
    return _csv(("document_type", "document_number"), rows)


def _pharmacies(scheme: Scheme) -> Iterable[tuple[str, ...]]:
    for number in range(1, scheme.shops + 1):
        street = scheme.streets[number % len(scheme.streets)]
        words = {"first": NAMES[number * 7 % len(NAMES)], "district": street.district[-3:], "number": number}
        place = {"district": street.district, "street": street.name, "house": number * 37 % 400 + 1}
        yield (
            _id(scheme, number),
            scheme.name.format(**words),
            scheme.address.format(**place),
            f"{street.lon + (number * 13 % 21 - 10) / 1_000:.4f}",
            f"{street.lat + (number * 17 % 21 - 10) / 1_000:.4f}",
            "",
        )


def _slots(scheme: Scheme) -> Iterable[tuple[str, ...]]:
    count = scheme.shops * len(scheme.times)
    each, rest = divmod(scheme.units, count)
    made = 0
    for number in range(1, scheme.shops + 1):
        for day, starts, ends in scheme.times:
            made += 1
            shop = _id(scheme, number)
            yield (
                f"{shop}-{day[5:7]}{day[8:]}-{starts[:2]}",
                shop,
                f"{day}T{starts}:00{scheme.offset}",
                f"{day}T{ends}:00{scheme.offset}",
                str(each + (rest if made == count else 0)),
            )


def _id(scheme: Scheme, number: int) -> str:
    return f"{scheme.prefix}-{number:02d}"


def _csv(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def all_tables() -> dict[str, str]:
    """Every table of every scheme by file name."""
    found = {name: text for scheme in SCHEMES for name, text in tables(scheme).items()}
    return found | {"shanghai-entitled.csv": households()}


if __name__ == "__main__":
    for name, text in all_tables().items():
        FOLDER.joinpath(name).write_text(text, "utf-8", newline="")
