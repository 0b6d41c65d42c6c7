"""Documents that everybody gets alike: encoded once, with an ETag, compressed once, and sent from memory."""

import asyncio
import gzip
import hashlib
from typing import Final

from aiohttp import web

from services.platform.http_answers import Answer, header

COMPRESS_FROM_BYTES: Final = 1_400
"""What fits into one packet is not worth it."""
GZIP_LEVEL: Final = 5


class Published:
    """One version of a document, as ready answers."""

    def __init__(self, body: bytes, content_type: bytes, max_age_s: int, extra_headers: bytes = b"") -> None:
        self.body = body
        self.etag = '"' + hashlib.sha256(body).hexdigest()[:16] + '"'
        self._content_type = content_type
        self._headers = (
            b"Cache-Control: public, max-age=%d\r\n" % max_age_s
            + header("ETag", self.etag)
            + b"Vary: Accept-Encoding\r\n"
            + extra_headers
        )
        self._plain = Answer(200, body, content_type, self._headers)
        self._unchanged = Answer(304, b"", content_type, self._headers)
        self._small: Answer | None = None
        self._compressing: asyncio.Task[bytes] | None = None

    async def answer(self, request: web.BaseRequest) -> Answer:
        """304 to whoever has it already; compressed for those who can read that."""
        known = request.headers.get("If-None-Match")
        if known is not None and self._is_known(known):
            return self._unchanged
        if len(self.body) < COMPRESS_FROM_BYTES or not _reads_gzip(request):
            return self._plain
        if self._small is None:
            if self._compressing is None:
                self._compressing = asyncio.create_task(asyncio.to_thread(gzip.compress, self.body, GZIP_LEVEL))
            body = await asyncio.shield(self._compressing)
            self._small = Answer(200, body, self._content_type, self._headers + b"Content-Encoding: gzip\r\n")
        return self._small

    def _is_known(self, if_none_match: str) -> bool:
        tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
        return any(tag in ("*", self.etag) for tag in tags)


def _reads_gzip(request: web.BaseRequest) -> bool:
    accepted = request.headers.get("Accept-Encoding", "")
    return "gzip" in accepted and "gzip;q=0" not in accepted.replace(" ", "").replace("q=0.", "")
