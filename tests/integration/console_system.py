"""Broker, Redis, allocator and console as processes, with nothing applied yet: a system as the ops team meets it."""

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.launcher.first_steps import ensure_admin_token
from infra.launcher.ports import free_ports
from services.domain.campaign import Campaign
from services.domain.campaign_document import document
from services.domain.days import rfc3339
from services.sql.database import DatabaseSettings
from tests.integration.front_door_system import System, ask, prepare, start, wait_until_ready
from tests.integration.tiers import Tier
from tests.morning import WHERE
from tests.unit.front_door_world import campaign


@dataclass
class Ops:
    """The ops team's view of a system."""

    system: System
    url: str
    token: str
    numbers: "itertools.count[int]"

    def asks(
        self, method: str, path: str, body: Any = None, *, token: str = "", key: str = "", timeout_s: float = 35.0
    ) -> tuple[int, Any]:
        headers = {
            "Authorization": f"Bearer {token or self.token}",
            "Idempotency-Key": key or f"key-{next(self.numbers)}",
        }
        status, _, answer = ask(method, self.url + path, body, headers, timeout_s)
        return status, json.loads(answer)

    def applies(self, chosen: Campaign, key: str = "") -> tuple[int, Any]:
        return self.asks("POST", "/v1/campaigns/apply?why=a%20test", document(chosen), key=key)

    def phase(self, name: str) -> str:
        status, told = self.asks("GET", f"/v1/campaigns/{name}")
        return str(told["numbers"]["phase"]) if status == 200 else str(told["reason"])

    def waits_for_phase(self, name: str, phase: str, timeout_s: float = 10.0) -> float:
        """Seconds until the campaign is in this phase."""
        began_s = time.monotonic()
        while (found := self.phase(name)) != phase:
            assert time.monotonic() - began_s < timeout_s, f"{name} is {found}, not {phase}"
            time.sleep(0.05)
        return time.monotonic() - began_s

    def clock(self, stack: ExitStack, name: str = "clock") -> None:
        """Starts a clock."""
        (admin_port,) = free_ports(1)
        start(self.system, stack, "clock", "ClockSettings", admin_port=admin_port)
        self.system.processes[name] = self.system.processes["clock"]
        wait_until_ready(f"http://127.0.0.1:{admin_port}/readyz")

    def console(self, stack: ExitStack, name: str) -> str:
        """Starts another console; its URL."""
        port, admin_port = free_ports(2)
        first = self.system.processes["console"]
        start(self.system, stack, "console", "ConsoleSettings", port=port, admin_port=admin_port)
        self.system.processes |= {name: self.system.processes["console"], "console": first}
        wait_until_ready(f"http://127.0.0.1:{admin_port}/readyz")
        return f"http://127.0.0.1:{port}"

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self.system.processes[name]
        process.kill()
        process.wait()


@contextmanager
def running_ops(tier: Tier, folder: Path, *, with_ledger: bool = False) -> Iterator[Ops]:
    """Everything but a clock, started and ready."""
    with ExitStack() as stack:
        stores = stack.enter_context(tier.stores(folder))
        data = folder / "data"
        data.mkdir(mode=0o700)
        ensure_admin_token(data)
        prepare(stores, data)
        port, console_admin, allocator_admin, ledger_admin = free_ports(4)
        system = System("", "", stores, data)
        start(system, stack, "allocator", "AllocatorSettings", partitions="all", admin_port=allocator_admin)
        database = DatabaseSettings(ledger=f"sqlite:///{data / 'ledger.sqlite'}" if with_ledger else "")
        start(system, stack, "console", "ConsoleSettings", port=port, admin_port=console_admin, database=database)
        if with_ledger:
            start(system, stack, "ledger", "LedgerSettings", admin_port=ledger_admin, database=database)
            wait_until_ready(f"http://127.0.0.1:{ledger_admin}/readyz")
        for admin_port in (allocator_admin, console_admin):
            wait_until_ready(f"http://127.0.0.1:{admin_port}/readyz")
        token = (data / "admin-token").read_text().strip()
        yield Ops(system, f"http://127.0.0.1:{port}", token, itertools.count(1))


def windowed(name: str, *windows_s: tuple[float, float], region: str = "guangzhou", **changes: Any) -> Campaign:
    """A campaign whose windows open and close so many seconds from now."""
    now_ms = int(time.time() * 1000)
    windows = [
        {"opens_at": rfc3339(now_ms + int(a * 1000), WHERE), "closes_at": rfc3339(now_ms + int(b * 1000), WHERE)}
        for a, b in windows_s
    ]
    return campaign(name, windows=windows, region=region, **changes)
