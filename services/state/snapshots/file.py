"""One snapshot in a sealed file (`services.platform.sealed_files`).

frame: Description        msgpack map
frame: rows, any number   msgpack array of [logical key, value as it stands in Redis]
frame: End                msgpack map
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from services.domain.rows import HEAD, Head
from services.platform.errors import MasklineError
from services.platform.private_files import refuse_if_others_can_read
from services.platform.sealed_files import SealBrokenError, compare_checksum, frames, sealing
from services.state.readers import decode_row

MAGIC: Final = b"maskline snapshot 1\n"

Rows = list[tuple[str, bytes]]
"""Logical keys and values as they stand in Redis; the head is not among them."""
_decode_rows: Final = msgspec.msgpack.Decoder(Rows).decode


class SnapshotUnreadable(MasklineError):
    """{path} is no whole snapshot: {why}. Delete it; older ones and the log itself make the same rows."""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """Which partition, and where: `head` is its row as it stands in Redis, with log, keys, position, digest, rules."""

    partition: int
    head: bytes
    library: str
    """Whose text made it: the name of the function library."""
    made_at_ms: int

    @property
    def known(self) -> Head:
        """The head, as far as this version knows its fields."""
        head: Head = decode_row(HEAD, self.head)
        return head


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be there. A row may have been counted twice."""

    rows: int


class Snapshot:
    """A snapshot that is whole. It keeps its file open, so whoever tidies the folder takes nothing away from it."""

    def __init__(self, path: Path, file: BinaryIO, description: Description, end: End) -> None:
        self.path = path
        self.description = description
        self.end = end
        self._file = file

    def rows(self) -> Iterator[Rows]:
        """All rows, in the pieces in which they were written."""
        pieces = frames(self._file, MAGIC)
        next(pieces)  # the description
        left = self.end.rows
        while left > 0:
            piece = _decode_rows(next(pieces))
            left -= len(piece)
            yield piece

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def describe(path: Path) -> Description:
    """What a file says of itself; whether it is whole is another question. Raises SnapshotUnreadable, OthersCanRead."""
    with _opened(path) as file:
        return _description(file, path)


def open_snapshot(path: Path) -> Snapshot:
    """The snapshot, after its checksum was compared, which takes seconds for gigabytes. Raises as `describe`."""
    file = _opened(path)
    try:
        return Snapshot(path, file, *_compared(file, path))
    except BaseException:
        file.close()
        raise


async def write_snapshot(path: Path, description: Description, pieces: AsyncIterator[Rows]) -> int:
    """Writes a whole file or none, in a private folder that is there; how many rows it has. Raises OSError."""
    rows = 0
    with sealing(path, MAGIC) as put:
        put(msgspec.msgpack.encode(description))
        async for piece in pieces:
            put(msgspec.msgpack.encode(piece))
            rows += len(piece)
        put(msgspec.msgpack.encode(End(rows=rows)))
    return rows


def _opened(path: Path) -> BinaryIO:
    try:
        refuse_if_others_can_read(path)
        return path.open("rb")
    except OSError as error:
        raise SnapshotUnreadable(path=path, why=error.strerror or type(error).__name__) from error


def _compared(file: BinaryIO, path: Path) -> tuple[Description, End]:
    description = _description(file, path)
    end = b""
    try:
        compare_checksum(file)
        for frame in frames(file, MAGIC):
            end = frame
        return description, msgspec.msgpack.decode(end, type=End)
    except SealBrokenError as error:
        raise SnapshotUnreadable(path=path, why=error) from error
    except msgspec.DecodeError as error:  # the checksum has been compared, so it was written wrongly
        raise SnapshotUnreadable(path=path, why="it has no end") from error


def _description(file: BinaryIO, path: Path) -> Description:
    try:
        description = msgspec.msgpack.decode(next(frames(file, MAGIC), b""), type=Description)
        _ = description.known
    except SealBrokenError as error:
        raise SnapshotUnreadable(path=path, why=error) from error
    except msgspec.DecodeError as error:
        raise SnapshotUnreadable(path=path, why=f"what it says of itself cannot be read ({error})") from error
    return description
