"""The model, watched: a rule puts what it has changed, or the Lua would lose it, and what it puts is a row."""

from typing import Any

from services.domain.commands import Command
from services.domain.rows import HEAD, Facts, State
from services.state.readers import decode_row
from tests.contract.worlds import ModelWorld, encode_row


class WatchedState(State):
    """Remembers what the rules looked at during one record, and what they put."""

    def __init__(self) -> None:
        super().__init__()
        self.begin_of_record()

    def begin_of_record(self) -> None:
        """What tests looked at in between is forgotten."""
        self._seen: dict[str, tuple[Any, bytes]] = {}
        self._put: set[str] = set()

    def get(self, key: str) -> Any:
        row = super().get(key)
        if row is not None and key not in self._seen:
            self._seen[key] = row, encode_row(row)
        return row

    def put(self, key: str, row: Any) -> None:
        self._put.add(key)
        super().put(key, row)

    def remove(self, key: str) -> None:
        self._put.add(key)
        super().remove(key)

    def end_of_record(self) -> None:
        """AssertionError for a row that was changed and not put, or would be read as another one than it is."""
        changed = {key for key, (row, before) in self._seen.items() if encode_row(row) != before}
        assert changed - self._put - {HEAD} == set(), "changed and not put"
        for key in self._put & self.rows.keys():
            assert decode_row(key, encode_row(self.rows[key])) == self.rows[key], f"{key} is no row of its kind"
        assert decode_row(HEAD, encode_row(self.head)) == self.head


class WatchedWorld(ModelWorld):
    """The reference model, looked at after each record."""

    def __init__(self) -> None:
        super().__init__()
        self.watched = self.state = WatchedState()

    async def fold(self, command: Command | bytes, *, at_ms: int | None = None) -> Facts:
        self.watched.begin_of_record()
        facts = await super().fold(command, at_ms=at_ms)
        self.watched.end_of_record()
        return facts
