"""What a resident shows at the counter: the signed pass, its QR code, and the short code to read out."""

import asyncio
import io
from collections import OrderedDict
from typing import Final

import segno
import structlog

from services.domain.days import iso_day
from services.domain.reasons import DoorReason
from services.domain.rows import SlotRow
from services.platform.booking import pass_content
from services.platform.identities import Identities
from services.platform.pass_keys import PassKeys
from services.platform.passes import PassTooLong
from services.platform.problems import Problem

MAX_DRAWING: Final = 16
"""QR codes being drawn or waiting for it; a code takes 5 ms of one core."""
MAX_DRAWN: Final = 1_000
"""QR codes remembered: people look at their pass more than once."""

log = structlog.get_logger(__name__)


class Passes:
    """Signs passes and draws them. The same reservation has the same pass until the key is rotated: signatures are
    deterministic."""

    def __init__(self, identities: Identities, keys: PassKeys) -> None:
        self._identities = identities
        self._keys = keys
        self._drawing = 0
        self._drawn: OrderedDict[str, bytes] = OrderedDict()

    def text(self, pass_no: str, slot: SlotRow, units: int, last4_hash: str) -> str | None:
        """The pass; None where the pharmacy's id leaves no room for one (then there is still the short code)."""
        content = pass_content(self._identities, pass_no, slot, units, last4_hash)
        try:
            return self._keys.sign(content)
        except PassTooLong as error:
            log.error("A pass cannot be made", action="pass_too_long", pharmacy=slot.pharmacy, why=str(error))
            return None

    def short_code(self, slot: SlotRow, ordinal: int) -> str:
        """Eight digits, unique at that pharmacy on that day."""
        return self._identities.short_code(ordinal, slot.pharmacy, iso_day(slot.day))

    async def svg(self, text: str) -> bytes:
        """The pass as a QR code. Raises Problem 503 where too many are being drawn."""
        drawn = self._drawn.get(text)
        if drawn is not None:
            self._drawn.move_to_end(text)
            return drawn
        if self._drawing >= MAX_DRAWING:
            raise Problem(DoorReason.OVERLOADED)
        self._drawing += 1
        try:
            drawn = await asyncio.to_thread(draw, text)
        finally:
            self._drawing -= 1
        self._drawn[text] = drawn
        if len(self._drawn) > MAX_DRAWN:
            self._drawn.popitem(last=False)
        return drawn


def draw(text: str) -> bytes:
    """A QR code that scales to its frame, with the quiet zone that scanners need."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out, kind="svg", border=4, omitsize=True, xmldecl=False, light="#ffffff", dark="#000000"
    )
    return out.getvalue()
