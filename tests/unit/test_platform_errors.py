"""Errors say in words what is wrong and what to do."""

from __future__ import annotations

import copy

import pytest

from services.platform.errors import MasklineError


class PortInUse(MasklineError):
    """Port {port} is taken by another program.
    Choose another one:

        maskline up --ports-from {free}
    """


def test_the_message_of_an_error_is_its_docstring_with_the_values_filled_in() -> None:
    error = PortInUse(port=8080, free=9000)
    assert str(error).splitlines()[0] == "Port 8080 is taken by another program. Choose another one:"


def test_a_command_to_type_stays_on_a_line_of_its_own() -> None:
    assert str(PortInUse(port=8080, free=9000)).endswith("\n\n    maskline up --ports-from 9000")


def test_the_values_stay_readable_for_code() -> None:
    assert PortInUse(port=8080, free=9000).values == {"port": 8080, "free": 9000}


def test_an_error_can_be_copied_whole() -> None:
    error = PortInUse(port=8080, free=9000)
    assert str(copy.copy(error)) == str(error)


def test_a_value_that_the_message_needs_cannot_be_forgotten() -> None:
    with pytest.raises(KeyError, match="free"):
        PortInUse(port=8080)
