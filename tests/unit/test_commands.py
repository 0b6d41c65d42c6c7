"""The gate between the log and the fold: what passes is clean, what does not is `Malformed`, and nothing raises."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain import commands as c
from tests import builders as b
from tests.one_of_each import one_of_each

BOOKING = b.reserve("anna")
ONE_OF_EACH = one_of_each()

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_every_kind_of_command_is_looked_at_here() -> None:
    assert {type(command) for command in ONE_OF_EACH} == set(c.COMMAND_TYPES)


@pytest.mark.parametrize("command", ONE_OF_EACH, ids=lambda command: type(command).__name__)
def test_a_command_is_read_back_as_it_was_written(command: c.Command) -> None:
    assert c.decode(c.encode(command)) == command


@pytest.mark.parametrize("command", ONE_OF_EACH, ids=lambda command: type(command).__name__)
def test_a_command_is_json_that_names_its_kind_and_leaves_out_what_is_not_said(command: c.Command) -> None:
    told = json.loads(c.encode(command))
    assert told["type"] == command.__struct_config__.tag
    assert "" not in told.values()


@given(at=st.integers(0, len(ONE_OF_EACH) - 1), field=st.integers(0, 20), value=anything)
def test_whatever_stands_in_a_field_is_read_as_a_clean_command_or_as_malformed(at: int, field: int, value: Any) -> None:
    told = json.loads(c.encode(ONE_OF_EACH[at]))
    told[list(told)[field % len(told)]] = value
    command = c.decode(json.dumps(told).encode())
    if command is not c.MALFORMED:
        assert c.decode(c.encode(command)) == command
        assert isinstance(msgspec.msgpack.encode(command), bytes)  # as the fold call sends it


@given(st.binary(max_size=300))
def test_whatever_the_bytes_are_nothing_raises(value: bytes) -> None:
    assert isinstance(c.decode(value), c.Command)


def test_a_record_without_a_value_is_malformed() -> None:
    assert c.decode(None) is c.MALFORMED


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (b'"units":1', b'"units":1.0'),
        (b'"units":1', b'"units":"1"'),
        (b'"units":1', b'"units":true'),
        (b'"units":1', b'"units":1000001'),
        (b'"slot":"noon"', b'"slot":""'),
        (b'"slot":"noon"', b'"slot":"-noon"'),
        (b'"slot":"noon"', b'"slot":"no:on"'),
        (b'"slot":"noon"', b'"slot":"noon\\n"'),
        (b'"slot":"noon"', b'"slot":"' + b"n" * 49 + b'"'),
        (b'"slot":"noon"', '"slot":"正午"'.encode()),
        (BOOKING.pass_no.encode(), BOOKING.pass_no.encode() + b"\\n"),
        (BOOKING.pass_no.encode(), BOOKING.pass_no.encode()[:15]),
        (BOOKING.contact.encode(), b"\\ud800"),
        (BOOKING.contact.encode(), b"x" * 201),
        (BOOKING.phone_pseudonym.encode(), b"+8613800000000"),
    ],
)
def test_a_booking_that_is_not_quite_right_is_malformed(right: bytes, wrong: bytes) -> None:
    value = c.encode(BOOKING)
    assert value.count(right) == 1
    assert c.decode(value.replace(right, wrong)) is c.MALFORMED
