"""Calls of the command line to a running console, in plain blocking HTTP: one person, one call, an answer in words."""

import http.client
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from infra.launcher.endpoints import read_endpoints
from infra.launcher.first_steps import ADMIN_TOKEN
from services.platform.errors import MasklineError
from services.platform.private_files import read_private

TOKEN_VARIABLE: Final = "MASKLINE_ADMIN_TOKEN"
CALL_TIMEOUT_S: Final = 120.0
"""Applying 20,000 slots takes a few seconds; the console answers each of its own waits long before this."""


class ConsoleUnreachable(MasklineError):
    """The console at {url} does not answer: {why}. Start the system with `maskline up`, or name another console."""


class ConsoleRefused(MasklineError):
    """The console refused: {what}"""

    exit_code = 1


class AdminTokenMissing(MasklineError):
    """There is no admin token in {path}. `maskline up` makes it on its first start; name that data folder with --data,
    or give the token in the variable MASKLINE_ADMIN_TOKEN.
    """


class ConsoleClient:
    """A console and the token to speak to it with."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url.rstrip("/")
        self._token = token

    def __repr__(self) -> str:
        return f"ConsoleClient({self.url})"

    @classmethod
    def of(cls, data: Path, url: str = "") -> "ConsoleClient":
        """The console of the system with this data folder. Raises NotRunning, AdminTokenMissing, OthersCanRead."""
        url = url or read_endpoints(data).console
        token = os.environ.get(TOKEN_VARIABLE, "")
        if not token:
            try:
                token = read_private(data / ADMIN_TOKEN).decode().strip()
            except FileNotFoundError as error:
                raise AdminTokenMissing(path=data / ADMIN_TOKEN) from error
        return cls(url, token)

    def get(self, path: str) -> Any:
        """The JSON of an answer. Raises ConsoleUnreachable, ConsoleRefused."""
        return self._call("GET", path, None, {})

    def post(self, path: str, content: Any, *, key: str = "", query: Mapping[str, str] | None = None) -> Any:
        """The JSON of an answer; without a `key` each call is a wish of its own."""
        target = f"{path}?{urlencode(query)}" if query else path
        return self._call("POST", target, content, {"Idempotency-Key": key or secrets.token_hex(16)})

    def _call(self, method: str, path: str, content: Any, headers: Mapping[str, str]) -> Any:
        parts = urlsplit(self.url)
        if parts.scheme != "http" or not parts.hostname:
            raise ConsoleUnreachable(url=self.url, why="write its address as http://host:port")
        body = b"" if content is None else msgspec.json.encode(content)
        connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=CALL_TIMEOUT_S)
        try:
            connection.request(
                method,
                path,
                body,
                {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json", **headers},
            )
            answer = connection.getresponse()
            told = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ConsoleUnreachable(url=self.url, why=str(error) or type(error).__name__) from error
        finally:
            connection.close()
        try:
            decoded = msgspec.json.decode(told) if told else {}
        except msgspec.DecodeError as error:
            raise ConsoleUnreachable(url=self.url, why="it does not speak JSON") from error
        if answer.status >= 400:
            raise ConsoleRefused(what=_in_words(decoded))
        return decoded


def _in_words(problem: Any) -> str:
    """A problem (RFC 9457) as people read it."""
    if not isinstance(problem, dict):
        return str(problem)
    lines = [": ".join(str(problem[name]) for name in ("title", "detail") if problem.get(name))]
    lines += [f"  {more}" for more in problem.get("problems") or problem.get("differs") or []]
    return "\n".join(lines)
