"""The Java that runs Kafka."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from infra.local.missing import PartMissing

OLDEST_JAVA: Final = 17
"""Brokers of Kafka 4 need it."""
INSTALL: Final = "apt-get install openjdk-17-jre-headless (or a newer one)"
ANSWER_TIMEOUT_S: Final = 20.0


def find_java() -> Path:
    """The first `java` on the PATH. Raises PartMissing where there is none, or one that is too old."""
    part = f"Java {OLDEST_JAVA}"
    found = shutil.which("java")
    if found is None:
        raise PartMissing(part=part, why="there is no `java` on the PATH", command=INSTALL)
    answer = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=ANSWER_TIMEOUT_S, check=False)
    version = major_version(answer.stderr + answer.stdout)
    if version is None:
        raise PartMissing(part=part, why=f"{found} does not tell its version", command=INSTALL)
    if version < OLDEST_JAVA:
        raise PartMissing(part=part, why=f"{found} is Java {version}, too old for Kafka 4", command=INSTALL)
    return Path(found)


def major_version(told: str) -> int | None:
    """`openjdk version "17.0.15"` is 17, `java version "1.8.0_292"` is 8."""
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    return int(found[1]) if found else None
