"""A system started as people start it, by `maskline up`, and the command line against it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from infra.campaigns.demo import scaled
from infra.local.guards import access_in
from loadtests.http_client import HttpClient
from loadtests.surge import Surge, SurgeSettings
from loadtests.tally import Tally
from services.audit.verify import VerifySettings
from services.domain.campaign import Campaign
from services.platform.campaign_files import export, load
from tests.integration.tiers import root_in
from tests.morning import WHERE

ROOT = Path(__file__).resolve().parents[2]
CAMPAIGN_FILE = ROOT / "infra/campaigns/suikang-v1.yaml"
START_TIMEOUT_S = 30.0
COMMAND_TIMEOUT_S = 30.0
END_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str


def maskline(*arguments: str | Path, stdin: str = "", env: dict[str, str] | None = None) -> Ran:
    """One command, as a process."""
    ended = subprocess.run(
        [sys.executable, "-m", "services.cli", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr)


@dataclass(frozen=True)
class Up:
    """A system that runs."""

    data: Path

    @property
    def endpoints(self) -> dict[str, Any]:
        """Where everything is."""
        found: dict[str, Any] = json.loads((self.data / "endpoints.json").read_text())
        return found

    def settings(self, user: str = "audit") -> VerifySettings:
        """As somebody comes to its log and its Redis."""
        found = self.endpoints
        access = access_in(self.data, user)
        return VerifySettings(kafka=found["kafka"], redis=found["redis"], data=self.data, access=access)

    @property
    def root(self) -> str:
        """Its Redis, for whoever may do everything."""
        return root_in(self.data, self.endpoints["redis"])


@contextmanager
def up(data: Path, *options: str | Path, env: dict[str, str] | None = None) -> Iterator[Up]:
    """`maskline up` on free ports until the block ends, by Ctrl-C."""
    output = data.parent / "up.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", "up", "--data", data, "--ports-from", "0", *options],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not (data / "endpoints.json").exists():
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline_s, output.read_text()
            time.sleep(0.02)
        yield Up(data)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(END_TIMEOUT_S)
        finally:
            process.kill()


def small_campaign(folder: Path, name: str = "small", units: int = 60) -> Path:
    """A campaign file that is open now, where the day is young."""
    elsewhere = msgspec.structs.replace(load(CAMPAIGN_FILE), campaign=name, timezone=WHERE.key)
    campaign: Campaign = scaled(elsewhere, units, int(time.time() * 1000))
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in export(campaign).items():
        (folder / file).write_text(text, "utf-8")
    return folder / f"{name}.yaml"


async def rush(system: Up, file: Path, name: str, residents: int, arrive_within_s: float = 0.5) -> Tally:
    """People who all want masks at once; what they heard."""
    client = HttpClient(system.endpoints["front_door"], max_connections=32, timeout_s=10.0)
    slots = [slot.id for slot in load(file).slots]
    settings = SurgeSettings(residents=residents, arrive_within_s=arrive_within_s)
    try:
        return await Surge(client, name, slots, settings).run()
    finally:
        client.close()
