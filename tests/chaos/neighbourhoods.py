"""People behind several addresses, as they are in a city: whoever is in front counts requests by address."""

from collections.abc import Mapping
from typing import Final

from loadtests.http_client import HttpClient, Response

NO_HEADERS: Final[Mapping[str, str]] = {}


class Neighbourhoods:
    """People behind several addresses of loopback, in turn: nginx counts requests by address."""

    def __init__(self, url: str, addresses: int, *, max_connections: int, timeout_s: float) -> None:
        share = max_connections // addresses
        self._clients = [
            HttpClient(url, max_connections=share, timeout_s=timeout_s, comes_from=f"127.0.1.{number + 1}")
            for number in range(addresses)
        ]
        self._turn = 0

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = NO_HEADERS, timeout_s: float = 0.0
    ) -> Response:
        """The answer. Raises NoAnswer."""
        self._turn = (self._turn + 1) % len(self._clients)
        return await self._clients[self._turn].request(method, path, body, headers, timeout_s)

    def close(self) -> None:
        """Drop all connections."""
        for client in self._clients:
            client.close()
