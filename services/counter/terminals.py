"""Who is asking: a pharmacy's terminal, paired once with a code from the console, known by its token from then on.

    03.<terminal>.<22 characters>       a token: partition, terminal, secret

The secret is made of the pairing code and the `Idempotency-Key` of the one who brought it, under the id key: whoever
sends the same again gets the same token, and nobody has to keep it. The log and Redis know it by a keyed digest.
"""

from __future__ import annotations

import re
import time
from typing import NamedTuple

from services.counter.contract import Paired
from services.domain.commands import PairTerminal
from services.domain.reasons import DoorReason, Reason
from services.domain.rows import TerminalRow, TerminalState
from services.domain.rules.answers import Fact
from services.platform.crypto import KeyedDigest, equal
from services.platform.identities import Identities
from services.platform.pairing_codes import canonical_pairing_code, pairing_code_digest, partition_of_code
from services.platform.problems import Problem
from services.platform.secrets import Secrets
from services.state.desk import Desk

SECRET_CHARACTERS = 22
DIGEST_CHARACTERS = 16
KNOWN_FOR_S = 1.0
"""How long a terminal that was revoked may still look things up; the fold, which decides, asks anew each time."""
MAX_KNOWN = 10_000

_TOKEN = re.compile(rf"(\d\d)\.([A-Za-z0-9][A-Za-z0-9._-]{{0,47}})\.([A-Za-z0-9_-]{{{SECRET_CHARACTERS}}})", re.ASCII)


class Terminal(NamedTuple):
    """A terminal that has signed in."""

    partition: int
    name: str
    pharmacy: str
    region: str
    """Two cities may share a partition, and each may have a pharmacy of this id."""


class Token(NamedTuple):
    """What a terminal signs in with."""

    partition: int
    terminal: str
    secret: str

    @property
    def text(self) -> str:
        """As it stands in the `Authorization` header."""
        return f"{self.partition:02d}.{self.terminal}.{self.secret}"

    def __repr__(self) -> str:
        return f"Token({self.partition:02d}.{self.terminal}.***)"


def read_token(text: str) -> Token | None:
    """The token in a text; None where it has another form. Whether it is genuine, the terminal's row tells."""
    match = _TOKEN.fullmatch(text)
    return Token(int(match[1]), match[2], match[3]) if match else None


class Tokens:
    """Makes tokens and the digests that the log knows them by."""

    def __init__(self, secrets: Secrets) -> None:
        self._digest = KeyedDigest(secrets.id_key)

    def secret(self, code: str, key: str) -> str:
        """The secret of whoever brings this pairing code with this `Idempotency-Key`."""
        return self._digest.text(f"terminal secret\x1f{code}\x1f{key}".encode(), SECRET_CHARACTERS)

    def digest(self, secret: str) -> str:
        """What stands in the log and in the terminal's row."""
        return self._digest.text(f"terminal token\x1f{secret}".encode(), DIGEST_CHARACTERS)


class Terminals:
    """Pairs terminals and lets them in."""

    def __init__(self, desk: Desk, partitions: int, tokens: Tokens, identities: Identities) -> None:
        self._desk = desk
        self._partitions = partitions
        self._tokens = tokens
        self._identities = identities
        self._known: dict[tuple[int, str], tuple[float, TerminalRow | None]] = {}

    async def pair(self, typed_code: str, key: str) -> Paired:
        """The token of the terminal that the code is for. Raises Problem: `unknown_pairing_code`, …_expired, …_used.

        A code that nobody gave out, or that somebody else has used, is refused before the log: anybody may try codes,
        and each answer in the log is kept for ever.
        """
        code = canonical_pairing_code(typed_code)
        if code is None or (partition := partition_of_code(code)) >= self._partitions:
            raise Problem(Reason.UNKNOWN_PAIRING_CODE)
        code_digest = pairing_code_digest(self._identities, code)
        secret = self._tokens.secret(code, key)
        command = PairTerminal(
            id=self._identities.command_id("terminal", f"pair|{code_digest}", key),
            code_digest=code_digest,
            token_digest=self._tokens.digest(secret),
        )
        code_row, first = await self._desk.read(partition, [f"tc:{code_digest}", f"o:{command.id}"])
        if code_row is None:
            raise Problem(Reason.UNKNOWN_PAIRING_CODE)
        if code_row.used and first is None:
            raise Problem(Reason.PAIRING_CODE_USED)
        match (await self._desk.decide(partition, command)).fact:
            case [Fact.TERMINAL_PAIRED, str(name), str(pharmacy)]:
                self._known.pop((partition, name), None)
                return Paired(token=Token(partition, name, secret).text, terminal=name, pharmacy=pharmacy)
            case [_, int(reason), *_]:
                raise Problem(Reason(reason))
            case _:
                raise AssertionError("pair_terminal is paired or refused")

    async def signed_in(self, text: str) -> Terminal:
        """The terminal that this token belongs to. Raises Problem `unauthorized`, or `catching_up`."""
        token = read_token(text)
        if token is None or token.partition >= self._partitions:
            raise Problem(DoorReason.UNAUTHORIZED)
        row = await self._row(token.partition, token.terminal)
        if row is None or row.state != TerminalState.PAIRED:
            raise Problem(DoorReason.UNAUTHORIZED)
        if not equal(self._tokens.digest(token.secret), row.token_digest):
            raise Problem(DoorReason.UNAUTHORIZED)
        return Terminal(token.partition, token.terminal, row.pharmacy, row.region)

    async def _row(self, partition: int, name: str) -> TerminalRow | None:
        now_s = time.monotonic()
        known = self._known.get((partition, name))
        if known is not None and now_s - known[0] < KNOWN_FOR_S:
            return known[1]
        row: TerminalRow | None = (await self._desk.read(partition, [f"t:{name}"]))[0]
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[partition, name] = (now_s, row)
        return row
