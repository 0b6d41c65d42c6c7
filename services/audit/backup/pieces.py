"""A copy of the log in a folder: pieces, each a sealed file with records of one partition, from one place to another.

    p00-00000000000000000000-00000000000000000500.log    partition 0, offsets 0 to 499
    p00-00000000000000000500-00000000000000000730.log    what had come when the next copy was taken

Each run adds a piece; one that is interrupted adds nothing, and the pieces from before stay as they were. In a piece:

    frame: Piece                  msgpack map
    frame: records, any number    msgpack array of [time in ms, value]; offsets go up one by one from `start`
    frame: End                    msgpack map
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from services.audit.backup.errors import BackupIncomplete, BackupUnreadable
from services.platform.private_files import make_private_folder, refuse_if_others_can_read
from services.platform.sealed_files import SealBrokenError, compare_checksum, frames

MAGIC: Final = b"maskline log 1\n"
SUFFIX: Final = ".log"
OFFSET_DIGITS: Final = 20
_NAME: Final = re.compile(rf"p\d+-(?P<start>\d{{{OFFSET_DIGITS}}})-(?P<end>\d{{{OFFSET_DIGITS}}}){re.escape(SUFFIX)}")

Record = tuple[int, bytes | None]
"""Its time in milliseconds, as Kafka tells it, and its value."""
_decode_records: Final = msgspec.msgpack.Decoder(list[Record]).decode


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """What a piece says of itself. `log` and `key_check` are those of the partition's genesis."""

    log: str
    key_check: str
    partition: int
    partitions: int
    start: int
    made_at_ms: int


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be there; `last_digest` is the CRC-32 of the last record's value."""

    records: int
    last_digest: int


class PieceFile(NamedTuple):
    """Where a piece stands, by its name: offsets `start` to `end` - 1 of a partition."""

    path: Path
    partition: int
    start: int
    end: int

    def describe(self) -> Piece:
        """Raises BackupUnreadable, OthersCanRead. Whether the file is whole is another question: `check`."""
        try:
            refuse_if_others_can_read(self.path)
            with self.path.open("rb") as file:
                return msgspec.msgpack.decode(next(frames(file, MAGIC), b""), type=Piece)
        except (OSError, SealBrokenError, msgspec.DecodeError) as error:
            raise BackupUnreadable(path=self.path, why=error) from error

    def check(self) -> End:
        """Compares the checksum, and what stands in it with its name. Raises BackupUnreadable, OthersCanRead."""
        piece, last = self.describe(), b""
        try:
            with self.path.open("rb") as file:
                compare_checksum(file)
                for frame in frames(file, MAGIC):
                    last = frame
            end = msgspec.msgpack.decode(last, type=End)
        except (OSError, SealBrokenError, msgspec.DecodeError) as error:
            raise BackupUnreadable(path=self.path, why=error) from error
        if (piece.partition, piece.start, piece.start + end.records) != self[1:]:
            raise BackupUnreadable(path=self.path, why="it holds other records than its name says")
        return end

    def records(self) -> Iterator[Record]:
        """In the order of their offsets. Raises BackupUnreadable; `check` first."""
        left = self.end - self.start
        try:
            with self.path.open("rb") as file:
                for at, frame in enumerate(frames(file, MAGIC)):
                    if at and left > 0:
                        found = _decode_records(frame)
                        left -= len(found)
                        yield from found
        except (OSError, SealBrokenError, msgspec.DecodeError) as error:  # its disk may fail after `check`
            raise BackupUnreadable(path=self.path, why=error) from error


class BackupFolder:
    """The pieces of all partitions, in one private folder."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path

    def prepare(self) -> None:
        """Make it, or check the one that is there. Raises OthersCanRead."""
        make_private_folder(self.path)

    def name(self, partition: int, start: int, end: int) -> Path:
        """Where a piece stands."""
        return self.path / f"p{partition:02d}-{start:0{OFFSET_DIGITS}d}-{end:0{OFFSET_DIGITS}d}{SUFFIX}"

    def chain(self, partition: int) -> list[PieceFile]:
        """A partition's pieces from offset 0, each beginning where the one before ends. Raises BackupIncomplete.

        Of two that begin at the same place, as after two runs at once, the longer one counts.
        """
        longest = {piece.start: piece for piece in sorted(self._found(partition), key=lambda piece: piece.end)}
        chain: list[PieceFile] = []
        while (piece := longest.get(chain[-1].end if chain else 0)) is not None:
            chain.append(piece)
        end = chain[-1].end if chain else 0
        if beyond := [piece.start for piece in longest.values() if piece.end > end]:
            raise BackupIncomplete(folder=self.path, partition=partition, start=end, end=min(beyond))
        return chain

    def whole_chain(self, partition: int) -> list[PieceFile]:
        """The same of a partition that must be there: each has a genesis. Raises BackupIncomplete."""
        if not (chain := self.chain(partition)):
            raise BackupIncomplete(folder=self.path, partition=partition, start=0, end=1)
        return chain

    def partitions(self) -> int:
        """How many the log has. Raises BackupIncomplete where there is no copy."""
        return self.whole_chain(0)[0].describe().partitions

    def _found(self, partition: int) -> Iterator[PieceFile]:
        for path in self.path.glob(f"p{partition:02d}-*{SUFFIX}"):
            if found := _NAME.fullmatch(path.name):
                yield PieceFile(path, partition, int(found["start"]), int(found["end"]))
