"""The seeds that draw places among those who are in a waiting room before its opening.

A seed is made of the ticket key, so every clock of an installation makes the same one, and nobody without the key knows
it before it stands in the log.
"""

from services.platform.crypto import KeyedDigest


class WaitingSeeds:
    """Makes them."""

    def __init__(self, ticket_key: bytes) -> None:
        self._seeds = KeyedDigest(KeyedDigest(ticket_key).digest(b"waiting-room seed"))

    def seed(self, campaign: str, opening: str) -> str:
        """Of one opening of a campaign: 32 bytes in hex."""
        return self._seeds.digest(f"{campaign}\x1f{opening}".encode()).hex()
