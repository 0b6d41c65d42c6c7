"""Places in a waiting room: drawn fairly, computed by anybody, the same for the same person."""

import subprocess
from collections import Counter

import pytest

from services.domain.places import commitment_of, early_place, late_place
from tests import room_builders as rooms

SEED = rooms.hex256("seed")
RECEIPTS = [rooms.receipt(str(number)) for number in range(20_000)]


def test_everybody_who_was_there_before_has_a_place_among_them() -> None:
    places = [early_place(SEED, receipt, 100) for receipt in RECEIPTS]
    assert (min(places), max(places)) == (0, 99)
    assert early_place(SEED, RECEIPTS[0], 1) == 0


def test_no_place_is_drawn_more_often_than_chance_has_it() -> None:
    drawn = Counter(early_place(SEED, receipt, 100) for receipt in RECEIPTS)
    expected = len(RECEIPTS) / 100
    chi_square = sum((drawn[place] - expected) ** 2 / expected for place in range(100))
    assert chi_square < 149  # one in a thousand fair draws is above


def test_another_seed_is_another_order() -> None:
    other = rooms.hex256("other")
    assert [early_place(SEED, each, 1_000) for each in RECEIPTS[:50]] != [
        early_place(other, each, 1_000) for each in RECEIPTS[:50]
    ]


@pytest.mark.parametrize("people", [2, 3, 7, 1_000, 300_000])
def test_who_is_before_somebody_is_so_whatever_the_count(people: int) -> None:
    by_place = sorted(RECEIPTS[:500], key=lambda receipt: early_place(SEED, receipt, 10_000_000))
    places = [early_place(SEED, receipt, people) for receipt in by_place]
    assert places == sorted(places)


def test_who_comes_later_stands_behind_all_in_order_of_arrival() -> None:
    assert [late_place(100, number) for number in range(3)] == [100, 101, 102]


def test_the_commitment_binds_the_seed() -> None:
    assert commitment_of("00" * 32) == "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925"
    assert commitment_of(SEED) != commitment_of(rooms.hex256("other"))


def test_anybody_computes_the_number_with_the_command_that_stands_in_the_docs() -> None:
    told = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{SEED}"],
        input=RECEIPTS[0].encode(), capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    number = int(told.split()[-1][:16], 16)
    assert early_place(SEED, RECEIPTS[0], 300_000) == number * 300_000 // 2**64
