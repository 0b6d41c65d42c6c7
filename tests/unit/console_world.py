"""A console that really serves, on a log in memory and the reference model.

    async with console(folder) as world:
        answer = await world.post("/v1/campaigns/gz/open", {"why": "it is time"})
        assert answer.status == 200
"""

import hashlib
import io
import itertools
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from services.console.main import OpsSettings, Parts
from services.console.sign_in import SignIn, read_admin_token
from services.console.users import USERS, Role, Users
from services.domain.campaign import Campaign
from services.domain.commands import AssignRegion
from services.platform.crypto import base64url
from services.platform.health import Health
from services.platform.http_server import HttpServer, HttpSettings
from services.platform.private_files import create_private
from services.platform.secrets import Secrets
from services.sql.database import Database
from services.stream.fake import FakeReader
from services.stream.topics import COMMANDS
from tests.unit.campaign_documents import written
from tests.unit.folded_world import FoldedWorld

ADMIN_TOKEN = "token-of-the-installation"
PASSWORD = "a few words in a row"
NAMES = {Role.VIEWER: "vera", Role.OPERATOR: "olga", Role.APPEALS: "anna", Role.ADMIN: "ada"}


def cheap_hash(password: str) -> str:
    """As `hash_password` would, but in no time."""
    digest = hashlib.scrypt(password.encode(), salt=b"0" * 16, n=2, r=8, p=1, dklen=32)
    return f"scrypt$2$8$1${base64url(b'0' * 16)}${base64url(digest)}"


def installation(folder: Path) -> Path:
    """A data folder with secrets, an admin token, and a user of each role."""
    data = folder / "data"
    Secrets.create(data / "secrets")
    data.chmod(0o700)
    create_private(data / "admin-token", ADMIN_TOKEN.encode() + b"\n")
    users = {name: {"role": role, "password": cheap_hash(PASSWORD)} for role, name in NAMES.items()}
    create_private(data / USERS, msgspec.json.encode({"users": users}))
    return data


@dataclass
class Answered:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.text)

    @property
    def reason(self) -> str:
        """The stable word of a problem."""
        assert self.headers["Content-Type"] == "application/problem+json"
        word: str = self.json["reason"]
        return word


@dataclass
class ConsoleWorld:
    """The console, what is behind it, and a client."""

    system: FoldedWorld
    parts: Parts
    data: Path
    url: str
    client: aiohttp.ClientSession
    numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def get(self, path: str, *, token: str | None = ADMIN_TOKEN, **headers: str) -> Answered:
        return await self.ask("GET", path, None, token=token, **headers)

    async def post(
        self, path: str, body: Any, *, key: str | None = "", token: str | None = ADMIN_TOKEN, **headers: str
    ) -> Answered:
        """With a key of its own, unless one is named; None sends none."""
        if key is not None:
            headers["Idempotency-Key"] = key or f"key-{next(self.numbers)}"
        return await self.ask("POST", path, body, token=token, **headers)

    async def ask(self, method: str, path: str, body: Any, *, token: str | None, **headers: str) -> Answered:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        content: Any = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        content = content if content is None else io.BytesIO(content)
        async with self.client.request(
            method, self.url + path, data=content, headers=sent, allow_redirects=False
        ) as answer:
            return Answered(answer.status, answer.headers, await answer.text())

    async def sign_in(self, role: Role) -> str:
        """The token of a user of this role."""
        answer = await self.post("/v1/session", {"user": NAMES[role], "password": PASSWORD}, token=None)
        assert answer.status == 201
        token: str = answer.json["token"]
        return token

    async def give(self, campaign: Campaign, partition: int = 0) -> None:
        """A sealed campaign, as another console would have applied it."""
        assign = AssignRegion(id=(campaign.campaign + "a" * 16)[:16].replace(".", "-"), region=campaign.region,
                              campaign=campaign.campaign, partitions=self.system.partitions)  # fmt: skip
        now_ms = int(time.time() * 1000)
        self.system.write(0, assign, at_ms=now_ms)
        self.system.write(partition, *written(campaign), at_ms=now_ms)
        await self.system.door.refresh_once()


@asynccontextmanager
async def console(
    data: Path, folder: Path, *, ledger: Database | None = None, **settings: Any
) -> AsyncIterator[ConsoleWorld]:
    """A console on an empty log of two partitions; its data folder is a copy of `data` in `folder`."""
    own = folder / "own"
    shutil.copytree(data, own)
    secrets = Secrets.load(own / "secrets")
    system = FoldedWorld(partitions=2, now_ms=int(time.time() * 1000))
    async with system.running() as door:
        sign_in = SignIn(Users(own), secrets, read_admin_token(own))
        parts = Parts(door, FakeReader(system.log, COMMANDS), secrets, sign_in, OpsSettings(**settings), ledger)
        limits = HttpSettings(drain_timeout_s=1.0)
        jar = aiohttp.DummyCookieJar()
        async with (
            HttpServer(parts.router(Health()), "127.0.0.1", 0, limits) as server,
            aiohttp.ClientSession(cookie_jar=jar) as client,
        ):
            yield ConsoleWorld(system, parts, own, f"http://127.0.0.1:{server.port}", client)
            parts.live.close()
