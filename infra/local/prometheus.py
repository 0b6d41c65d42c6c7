"""Prometheus on this machine: asks every process of ours for its numbers, and watches the rules of infra/prometheus."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from infra.embedded.commands import LOOPBACK
from infra.launcher.endpoints import ProcessEndpoint
from infra.launcher.guard import guarded
from infra.launcher.process import ProcessSpec, answers_ready
from infra.local.missing import PartMissing
from infra.local.unprivileged import NOBODY, own_folder, user_for

INSTALL: Final = "apt-get install prometheus"
RULES: Final = Path(__file__).resolve().parents[1] / "prometheus"
CONF: Final = "prometheus.yml"
SCRAPE_INTERVAL_S: Final = 5
SCRAPE_TIMEOUT_S: Final = 3
KEPT: Final = "--storage.tsdb.retention.time=15d"
KEPT_AT_MOST: Final = "--storage.tsdb.retention.size=1GB"


def find_prometheus() -> Path:
    """Raises PartMissing."""
    found = shutil.which("prometheus")
    if found is None:
        raise PartMissing(part="Prometheus", why="there is no `prometheus` on the PATH", command=INSTALL)
    return Path(found)


def find_promtool() -> Path:
    """What holds rules against planted series. Raises PartMissing."""
    found = shutil.which("promtool")
    if found is None:
        raise PartMissing(part="promtool", why="there is no `promtool` on the PATH", command=INSTALL)
    return Path(found)


class Prometheus:
    """One server; its data is in `folder`."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._program = Path()
        self._user = ""

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self._port}"

    def prepare(self, processes: Sequence[ProcessEndpoint]) -> None:
        """Settings: whom to ask, and the rules as they are now. Raises PartMissing."""
        self._program = find_prometheus()
        self._user = user_for("Prometheus", ("prometheus", NOBODY), INSTALL)
        rules = self._folder / "rules"
        shutil.rmtree(rules, ignore_errors=True)
        rules.mkdir(mode=0o700, parents=True)
        # Copied: its user may not be able to walk to where this code is.
        for path in RULES.glob("*.rules.yml"):
            shutil.copyfile(path, rules / path.name)
        (self._folder / CONF).write_text(scrape_config(processes), "utf-8")
        own_folder(self._folder, self._user)

    def specs(self) -> list[ProcessSpec]:
        """The server; `prepare` comes first."""
        options = [f"--config.file={CONF}", "--storage.tsdb.path=data", KEPT, KEPT_AT_MOST]
        program = [str(self._program), *options, f"--web.listen-address={LOOPBACK}:{self._port}", "--log.level=warn"]
        return [
            ProcessSpec(
                name="prometheus",
                service="prometheus",
                command=guarded(program, user=self._user, folder=self._folder),
                is_ready=partial(answers_prometheus, self._port),
            )
        ]


def scrape_config(processes: Sequence[ProcessEndpoint]) -> str:
    """`prometheus.yml`: a job a service, a target for each of its processes that has an admin port."""
    targets: dict[str, list[dict[str, Any]]] = {}
    for process in processes:
        if process.admin is not None:
            labels = {"process": str(process.index)}
            target = {"targets": [urlsplit(process.admin).netloc], "labels": labels}
            targets.setdefault(process.service, []).append(target)
    config = {
        "global": {"scrape_interval": f"{SCRAPE_INTERVAL_S}s", "scrape_timeout": f"{SCRAPE_TIMEOUT_S}s",
                   "evaluation_interval": f"{SCRAPE_INTERVAL_S}s"},
        "rule_files": ["rules/*.yml"],
        "scrape_configs": [{"job_name": service, "static_configs": found} for service, found in targets.items()],
    }  # fmt: skip
    return yaml.safe_dump(config, sort_keys=False)


async def answers_prometheus(port: int) -> bool:
    """Whether it answers questions: /-/ready, as /readyz is for ours."""
    return await answers_ready(LOOPBACK, port, "/-/ready")
