"""What a browser sends: every field of a form, the nonce in it, and the cookies beside it."""

from __future__ import annotations

from typing import Annotated

import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType

from services.platform.forms import FormIncomplete, FormOld, Nonces, cookie, fields, wrong_fields

KEY = bytes(range(32))


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    units: Annotated[float, Meta(ge=1, le=9, multiple_of=1)]
    why: Annotated[str, Meta(min_length=1, max_length=5)]
    pass_: Annotated[str, Meta(max_length=5)] = msgspec.field(name="pass", default="")
    year: int | UnsetType = UNSET
    password: str = ""


@pytest.mark.parametrize("units", ["5", " 5 ", "+5", "５", "＋５"])
def test_a_number_is_read_as_people_write_it(units: str) -> None:
    assert fields({"units": units, "why": "x"}, Wish).units == 5


@pytest.mark.parametrize("units", ["", "0", "10", "1.5", "five", "nan", "-1", "5 5", "inf"])
def test_what_is_no_such_number_is_named(units: str) -> None:
    assert wrong_fields({"units": units, "why": "x"}, Wish) == ["units"]


def test_every_wrong_field_is_named_in_the_order_of_the_form() -> None:
    with pytest.raises(FormIncomplete) as caught:
        fields({"why": "too long", "pass": "too long", "year": "soon"}, Wish)
    assert caught.value.fields == ("units", "why", "pass", "year")


def test_an_empty_field_counts_as_not_given_and_others_of_the_page_do_not_matter() -> None:
    assert fields({"units": "1", "why": "x", "year": " ", "nonce": "n"}, Wish) == Wish(units=1, why="x")


def test_a_password_is_taken_as_it_was_typed() -> None:
    assert fields({"units": "1", "why": " x ", "password": " p "}, Wish) == Wish(units=1, why="x", password=" p ")


def test_what_is_known_already_is_not_looked_for_in_the_form() -> None:
    assert fields({"why": "x"}, Wish, units=3.0) == Wish(units=3, why="x")


def test_a_nonce_belongs_to_whom_it_was_made_for_and_to_its_service() -> None:
    nonces = Nonces(KEY, "counter")
    nonce = nonces.make("till-1")
    assert nonces.check("till-1", nonce) == nonce
    assert len(nonce) <= 64
    with pytest.raises(FormOld):
        nonces.check("till-2", nonce)
    for others in (Nonces(KEY, "console"), Nonces(bytes(32), "counter")):
        with pytest.raises(FormOld):
            others.check("till-1", nonce)


@pytest.mark.parametrize("nonce", ["", "x", "x.y", ".", "名.名"])
def test_what_is_no_nonce_of_ours_is_an_old_form(nonce: str) -> None:
    with pytest.raises(FormOld):
        Nonces(KEY, "counter").check("", nonce)


def test_no_script_reads_a_cookie_and_no_other_site_sends_it() -> None:
    line = cookie("name", "value", life_s=60, secure=True)
    assert line == b"Set-Cookie: name=value; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure\r\n"
