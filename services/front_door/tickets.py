"""Waiting-room tickets: signed, each of one resident, one campaign and one round; nobody keeps a list of them.

A ticket is base64url of a fixed layout: a poll costs one HMAC, and nothing is parsed before it is known to be ours. It
names nobody: a receipt is a keyed digest of campaign and resident, the same at every try, so a hundred tickets of one
person are worth one.
"""

import struct
from typing import Final, NamedTuple

from services.platform.crypto import KeyedDigest, base64url, equal, from_base64url

VERSION: Final = 1
RECEIPT_CHARACTERS: Final = 16
_LAYOUT: Final = struct.Struct(">BBHIIIQ12s")
"""Version, 1 for early, partition, campaign number, round, number of a late one, expiry in Unix seconds, receipt."""
_SIGNATURE_BYTES: Final = 16
TICKET_CHARACTERS: Final = -(-(_LAYOUT.size + _SIGNATURE_BYTES) * 4 // 3)


class Ticket(NamedTuple):
    """What a ticket says. `number` is of those who came after the opening; the early ones' is drawn from `receipt`."""

    partition: int
    campaign_no: int
    round: int
    receipt: str
    is_early: bool
    number: int
    expires_s: int


class Tickets:
    """Writes tickets and reads them, under keys made from the installation's ticket key."""

    def __init__(self, ticket_key: bytes) -> None:
        root = KeyedDigest(ticket_key)
        self._signing = KeyedDigest(root.digest(b"waiting-room ticket"))
        self._receipts = KeyedDigest(root.digest(b"waiting-room receipt"))

    def receipt(self, campaign: str, resident: str) -> str:
        """16 characters for a resident's pseudonym in a campaign; it does not lead back to the pseudonym."""
        return self._receipts.text(f"{campaign}\x1f{resident}".encode(), RECEIPT_CHARACTERS)

    def text(self, ticket: Ticket) -> str:
        """The ticket as its owner keeps it. Raises ValueError or struct.error for what no ticket can say."""
        body = _LAYOUT.pack(
            VERSION,
            ticket.is_early,
            ticket.partition,
            ticket.campaign_no,
            ticket.round,
            ticket.number,
            ticket.expires_s,
            from_base64url(ticket.receipt),
        )
        return base64url(body + self._signature(body))

    def read(self, text: str) -> Ticket | None:
        """What a ticket says, expired ones included; None where we have not written it, character by character."""
        if len(text) != TICKET_CHARACTERS or not text.isascii():
            return None
        try:
            signed = from_base64url(text)
        except ValueError:
            return None
        body, signature = signed[: _LAYOUT.size], signed[_LAYOUT.size :]
        if not equal(self._signature(body).hex(), signature.hex()):
            return None
        version, is_early, partition, campaign_no, round_, number, expires_s, receipt = _LAYOUT.unpack(body)
        if version != VERSION:
            return None
        return Ticket(partition, campaign_no, round_, base64url(receipt), bool(is_early), number, expires_s)

    def _signature(self, body: bytes) -> bytes:
        return self._signing.digest(body)[:_SIGNATURE_BYTES]
