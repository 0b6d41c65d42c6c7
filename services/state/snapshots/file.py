"""One snapshot in a file.

    magic                     "maskline snapshot 1\\n"
    frame: Description        msgpack map
    frame: rows, any number   msgpack array of [logical key, value as it stands in Redis]
    frame: End                msgpack map
    SHA-256                   32 bytes, of everything before

A frame is its length in four bytes, most significant first, and its content. The file has a name only once it is whole
and on the disk; nothing of it is used before its checksum was compared.
"""

import contextlib
import hashlib
import os
import secrets
import struct
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from services.domain.rows import HEAD, Head
from services.platform.errors import MasklineError
from services.platform.private_files import FILE_MODE, refuse_if_others_can_read, sync_folder
from services.state.readers import decode_row

MAGIC: Final = b"maskline snapshot 1\n"
CHECKSUM_BYTES: Final = 32
MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
READ_BYTES: Final = 1024 * 1024
_LENGTH: Final = struct.Struct(">I")

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
        self._file.seek(len(MAGIC))
        _frame(self._file, self.path)
        left = self.end.rows
        while left > 0:
            piece = _decode_rows(_frame(self._file, self.path))
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
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    checksum, rows = hashlib.sha256(), 0
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as file:

            def put(content: bytes) -> None:
                file.write(content)
                checksum.update(content)

            put(MAGIC)
            put(_framed(msgspec.msgpack.encode(description)))
            async for piece in pieces:
                put(_framed(msgspec.msgpack.encode(piece)))
                rows += len(piece)
            put(_framed(msgspec.msgpack.encode(End(rows=rows))))
            file.write(checksum.digest())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        raise
    sync_folder(path.parent)
    return rows


def _opened(path: Path) -> BinaryIO:
    try:
        refuse_if_others_can_read(path)
        return path.open("rb")
    except OSError as error:
        raise SnapshotUnreadable(path=path, why=error.strerror or type(error).__name__) from error


def _compared(file: BinaryIO, path: Path) -> tuple[Description, End]:
    description = _description(file, path)
    size = os.fstat(file.fileno()).st_size
    checksum, left = hashlib.sha256(), size - CHECKSUM_BYTES
    file.seek(0)
    while left > 0:
        content = file.read(min(READ_BYTES, left))
        if not content:
            raise SnapshotUnreadable(path=path, why="it became shorter while it was read")
        checksum.update(content)
        left -= len(content)
    if checksum.digest() != file.read(CHECKSUM_BYTES):
        raise SnapshotUnreadable(path=path, why="its checksum is not that of its content: it is torn, or was changed")
    return description, _end(file, path, size)


def _description(file: BinaryIO, path: Path) -> Description:
    if file.read(len(MAGIC)) != MAGIC:
        raise SnapshotUnreadable(path=path, why="it does not begin as one that this version writes")
    try:
        description = msgspec.msgpack.decode(_frame(file, path), type=Description)
        _ = description.known
    except msgspec.DecodeError as error:
        raise SnapshotUnreadable(path=path, why=f"what it says of itself cannot be read ({error})") from error
    return description


def _end(file: BinaryIO, path: Path, size: int) -> End:
    """The last frame; the checksum has been compared, so a file that cannot be walked through was written wrongly."""
    file.seek(len(MAGIC))
    end = b""
    while file.tell() < size - CHECKSUM_BYTES:
        end = _frame(file, path)
    try:
        return msgspec.msgpack.decode(end, type=End)
    except msgspec.DecodeError as error:
        raise SnapshotUnreadable(path=path, why="it has no end") from error


def _framed(content: bytes) -> bytes:
    if len(content) > MAX_FRAME_BYTES:
        raise ValueError(f"{len(content)} bytes in one piece; {MAX_FRAME_BYTES} is the bound")
    return _LENGTH.pack(len(content)) + content


def _frame(file: BinaryIO, path: Path) -> bytes:
    header = file.read(_LENGTH.size)
    length = _LENGTH.unpack(header)[0] if len(header) == _LENGTH.size else MAX_FRAME_BYTES + 1
    content = file.read(length) if length <= MAX_FRAME_BYTES else b""
    if length > MAX_FRAME_BYTES or len(content) < length:
        raise SnapshotUnreadable(path=path, why="it ends in the middle")
    return content

