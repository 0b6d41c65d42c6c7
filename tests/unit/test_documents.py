"""Documents: what people type becomes one number, and what cannot be right is told from what can."""

import re
from datetime import date

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from stdnum import exceptions as stdnum_exceptions
from stdnum.cn import ric

from services.domain.documents import (
    FIRST_BIRTH_YEAR,
    LAST_BIRTH_YEAR,
    DocumentInvalid,
    DocumentProblem,
    DocumentType,
    birth_year,
    canonical,
    check_character,
    last4,
    last_digit,
)

D = DocumentType
FULL_WIDTH = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")


@st.composite
def resident_ids(draw: st.DrawFn, places: tuple[int, int] = (110_000, 659_999)) -> str:
    """18 characters that are right: any place, a day that was, a sequence, the character that fits."""
    born = draw(st.dates(date(FIRST_BIRTH_YEAR, 1, 1), date(LAST_BIRTH_YEAR, 12, 31)))
    body = f"{draw(st.integers(*places))}{born:%Y%m%d}{draw(st.integers(0, 999)):03d}"
    return body + check_character(body)


def problem_of(document_type: DocumentType, typed: str) -> DocumentProblem:
    with pytest.raises(DocumentInvalid) as caught:
        canonical(document_type, typed)
    return caught.value.problem


@given(body=st.from_regex(r"[0-9]{17}", fullmatch=True))
def test_the_check_character_is_the_one_that_stdnum_computes(body: str) -> None:
    assert check_character(body) == ric.calc_check_digit(body + "0")


@given(number=st.one_of(resident_ids(), st.from_regex(r"[1-6][0-9]{5}(19|20)[0-9]{9}[0-9X]", fullmatch=True)))
@example(number="11010519491231002X")
@example(number="110105190002290025")
def test_a_resident_id_is_right_exactly_when_stdnum_finds_no_fault_but_its_place(number: str) -> None:
    right = ric.calc_check_digit(number) == number[-1]
    try:
        ric.get_birth_date(number)
    except stdnum_exceptions.ValidationError:
        right = False
    if right:
        assert canonical(D.CN_RESIDENT_ID, number) == number
    else:
        assert problem_of(D.CN_RESIDENT_ID, number) in (DocumentProblem.CHECKSUM, DocumentProblem.DATE)


@given(number=resident_ids())
def test_every_number_that_is_right_is_accepted(number: str) -> None:
    assert canonical(D.CN_RESIDENT_ID, number) == number


@given(number=resident_ids(), gap=st.sampled_from(["", " ", "-", "　", "\t", "–", "\u200b", "."]))
def test_one_person_is_one_number_however_it_is_typed(number: str, gap: str) -> None:
    for typed in (number.lower(), number.translate(FULL_WIDTH), f" {number}\n"):
        assert canonical(D.CN_RESIDENT_ID, gap.join((typed[:6], typed[6:14], typed[14:]))) == number


@given(number=resident_ids(), place=st.integers(0, 16), other=st.integers(0, 9))
def test_one_wrong_digit_is_always_found(number: str, place: int, other: int) -> None:
    wrong = f"{number[:place]}{other}{number[place + 1 :]}"
    assume(wrong != number)
    assert problem_of(D.CN_RESIDENT_ID, wrong) in (DocumentProblem.CHECKSUM, DocumentProblem.DATE)


@given(number=resident_ids(), place=st.integers(0, 15))
def test_two_exchanged_neighbours_are_always_found(number: str, place: int) -> None:
    wrong = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    assume(wrong != number)
    assert problem_of(D.CN_RESIDENT_ID, wrong) in (DocumentProblem.CHECKSUM, DocumentProblem.DATE)


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", DocumentProblem.LENGTH),
        ("1101051949123100", DocumentProblem.LENGTH),
        ("110105491231002", DocumentProblem.OLD_NUMBER),
        ("1101051949123100２Y", DocumentProblem.CHARACTERS),
        ("X1010519491231002X", DocumentProblem.CHARACTERS),
        ("11010519491231002٣", DocumentProblem.CHARACTERS),
        ("110105194913310021", DocumentProblem.DATE),
        ("110105194902290021", DocumentProblem.DATE),
        ("110105214912310021", DocumentProblem.DATE),
        ("110105194912310021", DocumentProblem.CHECKSUM),
        ("1" * 65, DocumentProblem.TOO_LONG),
        (" " * 1_000_000, DocumentProblem.TOO_LONG),
    ],
)
def test_what_is_wrong_with_a_resident_id_is_named(typed: str, problem: DocumentProblem) -> None:
    assert problem_of(D.CN_RESIDENT_ID, typed) is problem


@pytest.mark.parametrize(
    ("document_type", "typed", "number"),
    [
        (D.HK_MACAO_PERMIT, "h12345678", "H12345678"),
        (D.HK_MACAO_PERMIT, "M 1234 5678", "M12345678"),
        (D.TAIWAN_PERMIT, "01234567", "01234567"),
        (D.CN_RESIDENCE_PERMIT_HMT, "830000199201300022", "830000199201300022"),
        (D.FOREIGN_PERMANENT_RESIDENT, "usa 110079090101", "USA110079090101"),
        (D.PASSPORT, "e12345678", "E12345678"),
        (D.PASSPORT, "Ｇ1234-5678", "G12345678"),
        (D.MILITARY_ID, "军字第1234567号", "军1234567"),
        (D.MILITARY_ID, "軍 字第 1234567 號", "军1234567"),
        (D.MILITARY_ID, "武字1234567", "武1234567"),
    ],
)
def test_the_other_documents_have_one_form_each(document_type: DocumentType, typed: str, number: str) -> None:
    assert canonical(document_type, typed) == number


def test_a_renewed_permit_is_not_a_new_person() -> None:
    assert {canonical(D.HK_MACAO_PERMIT, typed) for typed in ("H12345678", "H1234567800", "h1234567801")} == {
        "H12345678"
    }
    typed_permits = ("12345678", "1234567801", "1234567802(B)", "12345678 03 （b）", "1234567803B")
    assert {canonical(D.TAIWAN_PERMIT, typed) for typed in typed_permits} == {"12345678"}


@given(number=st.sampled_from([810_000, 820_000, 830_000]).flatmap(lambda place: resident_ids((place, place))))
def test_residence_permits_of_hong_kong_macao_and_taiwan_are_checked_like_resident_ids(number: str) -> None:
    assert canonical(D.CN_RESIDENCE_PERMIT_HMT, number) == number
    assert birth_year(D.CN_RESIDENCE_PERMIT_HMT, number) == int(number[6:10])


@given(card=resident_ids((900_000, 999_999)), number=resident_ids())
def test_new_cards_of_permanent_residents_begin_with_9_and_are_checked(card: str, number: str) -> None:
    assert canonical(D.FOREIGN_PERMANENT_RESIDENT, card) == card
    assert problem_of(D.FOREIGN_PERMANENT_RESIDENT, number) is DocumentProblem.PLACE


@pytest.mark.parametrize(
    ("document_type", "typed"),
    [
        (D.HK_MACAO_PERMIT, "A12345678"),
        (D.HK_MACAO_PERMIT, "H1234567"),
        (D.HK_MACAO_PERMIT, "H12345678９９９"),
        (D.TAIWAN_PERMIT, "1234567"),
        (D.TAIWAN_PERMIT, "1234567801()"),
        (D.CN_RESIDENCE_PERMIT_HMT, "11010519491231002X"),
        (D.FOREIGN_PERMANENT_RESIDENT, "US1110079090101"),
        (D.PASSPORT, "PASSPORT"),
        (D.PASSPORT, "E123"),
        (D.PASSPORT, "E1234567890123"),
        (D.PASSPORT, "é1234567"),
        (D.MILITARY_ID, "1234567"),
        (D.MILITARY_ID, "军字第123号"),
        (D.MILITARY_ID, "军字第123456789号"),
    ],
)
def test_a_number_that_no_such_document_has_is_refused(document_type: DocumentType, typed: str) -> None:
    with pytest.raises(DocumentInvalid):
        canonical(document_type, typed)


@given(document_type=st.sampled_from(DocumentType), typed=st.text(max_size=80))
def test_any_text_is_either_a_number_or_refused_and_a_number_stays_what_it_is(
    document_type: DocumentType, typed: str
) -> None:
    try:
        number = canonical(document_type, typed)
    except DocumentInvalid:
        return
    assert re.fullmatch(r"[A-Z0-9\u4e00-\u9fff]{5,18}", number)
    if document_type is not D.MILITARY_ID:  # its 字第 and 号 are left out
        assert canonical(document_type, number) == number


@pytest.mark.parametrize("document_type", DocumentType)
def test_a_refusal_never_shows_the_number(document_type: DocumentType) -> None:
    planted = "4401061984Q4Q4Q4"
    with pytest.raises(DocumentInvalid) as caught:
        canonical(document_type, planted)
    assert "Q4" not in f"{caught.value!r} {caught.value} {caught.value.values}"


def test_a_letter_at_the_end_counts_as_0_where_a_campaign_goes_by_the_last_digit() -> None:
    assert last_digit("11010519491231002X") == 0
    assert last_digit("H12345678") == 8


def test_the_last_four_and_the_year_of_birth_are_read_from_the_number() -> None:
    assert last4("11010519491231002X") == "002X"
    assert birth_year(D.CN_RESIDENT_ID, "11010519491231002X") == 1949
    assert birth_year(D.FOREIGN_PERMANENT_RESIDENT, "USA110079090101") is None
    assert birth_year(D.PASSPORT, "E12345678") is None
