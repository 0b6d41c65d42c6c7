"""What the command `maskline verify` makes of what goes wrong while it looks."""

import errno
import json

import pytest

from services.audit import main
from services.audit.errors import ConnectionBroke
from services.audit.verify import VerifySettings


def test_a_connection_that_breaks_is_told_and_is_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(main, "main", broken)
    told: list[str] = []
    with pytest.raises(ConnectionBroke) as raised:
        main.run(VerifySettings, told.append, as_json=True)
    assert raised.value.exit_code == 2
    assert [json.loads(line)["verify"] for line in told] == ["could not look"]
