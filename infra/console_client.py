"""Calls of the command line to a running console, in plain blocking HTTP: one person, one call, an answer in words."""

import http.client
import os
import secrets
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from infra.launcher.endpoints import read_endpoints
from infra.launcher.first_steps import ADMIN_TOKEN
from services.platform.errors import MasklineError
from services.platform.private_files import read_private

TOKEN_VARIABLE: Final = "MASKLINE_ADMIN_TOKEN"
JSON_LINES: Final = "application/x-ndjson"
CALL_TIMEOUT_S: Final = 120.0
"""Applying 20,000 slots takes a few seconds; the console answers each of its own waits long before this."""


class ConsoleUnreachable(MasklineError):
    """The console at {url} does not answer: {why}. Start the system with `maskline up`, or name another console."""


class ConsoleRefused(MasklineError):
    """The console refused: {what}"""

    exit_code = 1

    @property
    def reason(self) -> str:
        """The stable word of API.md."""
        return str(self.values["reason"])


class AdminTokenMissing(MasklineError):
    """There is no admin token in {path}. `maskline up` makes it on its first start; name that data folder with --data,
    or give the token in the variable MASKLINE_ADMIN_TOKEN.
    """


class ConsoleClient:
    """A console and the token to speak to it with; of https:// it has to be signed by who is in `ca`, a file.

    Without `ca` whom this machine trusts may have signed (SSL_CERT_FILE names others).
    """

    def __init__(self, url: str, token: str, ca: str = "") -> None:
        self.url = url.rstrip("/")
        self._token = token
        self._ca = ca

    def __repr__(self) -> str:
        return f"ConsoleClient({self.url})"

    @classmethod
    def of(cls, data: Path, url: str = "", *, ca: str = "") -> "ConsoleClient":
        """The console of the system with this data folder. Raises NotRunning, AdminTokenMissing, OthersCanRead."""
        url = url or read_endpoints(data).console
        token = os.environ.get(TOKEN_VARIABLE, "")
        if not token:
            try:
                token = read_private(data / ADMIN_TOKEN).decode().strip()
            except FileNotFoundError as error:
                raise AdminTokenMissing(path=data / ADMIN_TOKEN) from error
        return cls(url, token, ca)

    def get(self, path: str) -> Any:
        """The JSON of an answer. Raises ConsoleUnreachable, ConsoleRefused."""
        return _whole(self._call("GET", path, None, {}))

    def post(self, path: str, content: Any, *, key: str = "", query: Mapping[str, str] | None = None) -> Any:
        """The JSON of an answer; without a `key` each call is a wish of its own."""
        return _whole(self._call("POST", _target(path, query), content, _with_key(key)))

    def follow(
        self, path: str, content: Any, *, key: str = "", query: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """The JSON objects of an answer that comes line by line, as they come."""
        headers = {"Accept": JSON_LINES, **_with_key(key)}
        for line in self._call("POST", _target(path, query), content, headers):
            told = msgspec.json.decode(line)
            if "problem" in told:
                raise _refused(told["problem"])
            yield told

    def _call(self, method: str, path: str, content: Any, headers: Mapping[str, str]) -> Iterator[bytes]:
        """The lines of an answer. Raises ConsoleUnreachable, ConsoleRefused."""
        body = b"" if content is None else msgspec.json.encode(content)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json", **headers}
        connection = self._connection()
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            if answer.status >= 400:
                raise _refused(msgspec.json.decode(answer.read()))
            while line := answer.readline():
                yield line
        except (OSError, http.client.HTTPException) as error:
            raise ConsoleUnreachable(url=self.url, why=str(error) or type(error).__name__) from error
        except msgspec.DecodeError as error:
            raise ConsoleUnreachable(url=self.url, why="it does not speak JSON") from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        """Not yet connected. Raises ConsoleUnreachable."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConsoleUnreachable(url=self.url, why="write its address as http://host:port or https://host:port")
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port, timeout=CALL_TIMEOUT_S)
        try:
            trusted = ssl.create_default_context(cafile=self._ca or None)
        except OSError as error:
            raise ConsoleUnreachable(url=self.url, why=f"{self._ca} cannot be read: {error}") from error
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=CALL_TIMEOUT_S, context=trusted)


def _target(path: str, query: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _with_key(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key or secrets.token_hex(16)}


def _whole(lines: Iterator[bytes]) -> Any:
    return msgspec.json.decode(b"".join(lines) or b"{}")


def _refused(problem: Any) -> ConsoleRefused:
    """A problem (RFC 9457) as people read it."""
    if not isinstance(problem, dict):
        return ConsoleRefused(what=str(problem), reason="")
    lines = [": ".join(str(problem[name]) for name in ("title", "detail") if problem.get(name))]
    lines += [f"  {_problem_line(more)}" for more in problem.get("problems") or problem.get("differs") or []]
    return ConsoleRefused(what="\n".join(lines), reason=str(problem.get("reason", "")))


def _problem_line(problem: Any) -> str:
    """One mistake in a document, as `campaign check` tells it."""
    if not isinstance(problem, dict):
        return str(problem)
    line = f":{problem['line']}" if problem.get("line") else ""
    return ": ".join(
        part for part in (f"{problem.get('file', '')}{line}", problem.get("field"), problem.get("what")) if part
    )
