"""Files that are whole or not there: frames between a first line that says what they are and a checksum of it all.

    magic             what kind of file, and which version of it
    frame             any number: its length in four bytes, most significant first, and its content
    SHA-256           32 bytes, of everything before

Such a file has its name only once it is whole and on the disk; nothing of it is used before its checksum was compared.
"""

import contextlib
import hashlib
import os
import secrets
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from services.platform.private_files import FILE_MODE, sync_folder

CHECKSUM_BYTES: Final = 32
MAX_FRAME_BYTES: Final = 64 * 1024 * 1024
READ_BYTES: Final = 1024 * 1024
_LENGTH: Final = struct.Struct(">I")

Put = Callable[[bytes], None]
"""Writes one frame. Raises OSError."""


class SealBrokenError(Exception):
    """Why it is not whole, in words that follow on "it is no whole …:"."""


@contextmanager
def sealing(path: Path, magic: bytes) -> Iterator[Put]:
    """The file at the end of the block, private and on the disk, or none where the block raises. Raises OSError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    checksum = hashlib.sha256()
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as file:

            def write(content: bytes) -> None:
                file.write(content)
                checksum.update(content)

            def put(content: bytes) -> None:
                if len(content) > MAX_FRAME_BYTES:
                    raise ValueError(f"{len(content)} bytes in one piece; {MAX_FRAME_BYTES} is the bound")
                write(_LENGTH.pack(len(content)))
                write(content)

            write(magic)
            yield put
            file.write(checksum.digest())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        raise
    sync_folder(path.parent)


def compare_checksum(file: BinaryIO) -> None:
    """Raises SealBrokenError. It reads the whole file, which takes seconds for gigabytes."""
    checksum, left = hashlib.sha256(), os.fstat(file.fileno()).st_size - CHECKSUM_BYTES
    file.seek(0)
    while left > 0:
        content = file.read(min(READ_BYTES, left))
        if not content:
            raise SealBrokenError("it became shorter while it was read")
        checksum.update(content)
        left -= len(content)
    if checksum.digest() != file.read(CHECKSUM_BYTES):
        raise SealBrokenError("its checksum is not that of its content: it is torn, or was changed")


def frames(file: BinaryIO, magic: bytes) -> Iterator[bytes]:
    """The content of each frame, from the first. Raises SealBrokenError."""
    file.seek(0)
    if file.read(len(magic)) != magic:
        raise SealBrokenError("it does not begin as one that this version writes")
    end = os.fstat(file.fileno()).st_size - CHECKSUM_BYTES
    while (at := file.tell()) < end:
        header = file.read(_LENGTH.size)
        length = _LENGTH.unpack(header)[0] if len(header) == _LENGTH.size else MAX_FRAME_BYTES + 1
        if length > min(MAX_FRAME_BYTES, end - at - _LENGTH.size):
            raise SealBrokenError("it ends in the middle")
        yield file.read(length)
