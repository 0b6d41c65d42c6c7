"""The demonstration, as a program runs it and as a person watches it."""

import contextlib
import http.client
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.cli_system import ROOT, maskline

pytestmark = [pytest.mark.embedded, pytest.mark.timeout(90)]
WATCH_TIMEOUT_S = 40.0
END_TIMEOUT_S = 20.0
PROMISED = {
    "residents", "units", "accepted", "confirmed", "confirmed_units", "unused_units", "rejected", "shed", "unknown",
    "oversold", "lost", "duplicates", "p50_ms", "p99_ms", "decided_per_s", "seconds", "verify",
}  # fmt: skip


def test_the_last_line_of_a_headless_demo_is_the_promised_json(tmp_path: Path) -> None:
    told = maskline(
        "demo", "--headless", "--json", "--residents", "500", "--units", "200", "--arrive-within-s", "1",
        "--data", tmp_path / "data", "--front-doors", "2", "--allocators", "2",
    )  # fmt: skip
    assert told.code == 0, told.err
    found = json.loads(told.out.splitlines()[-1])
    assert found.keys() >= PROMISED
    assert (found["residents"], found["units"], found["verify"]) == (500, 200, "ok")
    assert (found["oversold"], found["lost"], found["duplicates"], found["unknown"]) == (0, 0, 0, 0)
    assert found["confirmed_units"] + found["unused_units"] == 200
    assert found["accepted"] == found["confirmed"] + found["rejected"]
    assert found["refused_before_log"].keys() <= {"sold_out"}
    assert found["accepted"] + sum(found["refused_before_log"].values()) >= 500
    assert found["confirmed"] > 0
    assert found["unexpected"] == 0
    assert 0 < found["p50_ms"] <= found["p99_ms"]


def test_a_demo_that_is_watched_stays_up_and_tells_how_to_get_in(tmp_path: Path) -> None:
    data = tmp_path / "data"
    terminal, ours = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "demo", "--residents", "200", "--units", "100", "--data", str(data)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=ours,
        stderr=ours,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"},
    )
    os.close(ours)
    try:
        seen = watched(terminal, process, until="Ctrl-C ends it.")
        assert "masks given" in seen
        assert "Verified against the log: ok" in seen
        door, counter, console = (
            re.search(rf"{who} +(http://\S+)", seen) for who in ("residents", "pharmacies", "ops team")
        )
        assert door is not None
        assert counter is not None
        assert console is not None
        for found in (door, counter, console):
            assert page_status(found[1]) in {200, 302, 303, 401}
        assert re.search(r"user demo, password \S+", seen)
        assert re.search(r"pairing code of \S+: 00-\S{4}-\S{4}", seen)
        assert maskline("verify", "--data", data).code == 0
    finally:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):
            while os.read(terminal, 65_536):
                pass
        os.close(terminal)
        assert process.wait(END_TIMEOUT_S) == 0
    assert "demo" not in maskline("user", "list", "--data", data).out


def watched(terminal: int, process: "subprocess.Popen[bytes]", until: str) -> str:
    """What a person has seen, without colours, once `until` is there."""
    seen = b""
    deadline_s = time.monotonic() + WATCH_TIMEOUT_S
    while until.encode() not in seen:
        assert process.poll() is None, seen.decode(errors="replace")
        assert time.monotonic() < deadline_s, seen.decode(errors="replace")
        if select.select([terminal], [], [], 0.5)[0]:
            seen += os.read(terminal, 65_536)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode(errors="replace"))


def page_status(url: str) -> int:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10)
    connection.request("GET", "/")
    status = connection.getresponse().status
    connection.close()
    return status
