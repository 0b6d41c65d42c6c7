"""Apache Kafka's jars: brought by Maven once, compared with the digests that stand here, and kept.

A folder under its final name is whole: it is made beside, and takes the name last. One that was interrupted is begun
again.
"""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from infra.local.missing import PartMissing
from services.platform.errors import MasklineError

KAFKA_VERSION: Final = "4.3.0"
HERE: Final = Path(__file__).parent
POM: Final = HERE / "pom.xml"
DIGESTS: Final = HERE / "kafka-jars.sha256"
MEGABYTES: Final = 44
FETCH_TIMEOUT_S: Final = 900.0
LAST_LINES: Final = 8
TELL_EVERY: Final = 10


class JarsNotFetched(MasklineError):
    """Maven did not bring Kafka's jars ({what}). It needs a repository that it can reach; it said last:

        {tail}

    Try again: what it has is kept.
    """


class JarsDiffer(MasklineError):
    """What Maven brought is not what was tested: {what}. The digests stand in {digests}; nothing was kept."""


def cache_folder() -> Path:
    """Where the jars are kept: outside of any clone, so that a second one finds them."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    digest = hashlib.sha256(POM.read_bytes() + DIGESTS.read_bytes()).hexdigest()
    return Path(home) / "maskline" / f"kafka-{KAFKA_VERSION}-{digest[:8]}"


def find_maven_or_jars() -> Path:
    """The jars where they are kept already, or the program that brings them. Raises PartMissing."""
    if (folder := cache_folder()).is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise PartMissing(part="Maven", why="there is no `mvn` on the PATH", command="apt-get install maven")
    return Path(maven)


async def kafka_jars(tell: Callable[[str], None]) -> Path:
    """The folder of the jars. Raises PartMissing (no Maven), JarsNotFetched, JarsDiffer."""
    folder = cache_folder()
    if folder.is_dir():
        return folder
    maven = find_maven_or_jars()
    folder.parent.mkdir(parents=True, exist_ok=True)
    tell(f"Fetching Apache Kafka {KAFKA_VERSION} by Maven: {MEGABYTES} MB, once.")
    with tempfile.TemporaryDirectory(prefix="unfinished-", dir=folder.parent) as unfinished:
        jars = Path(unfinished) / "jars"
        await _copy(maven, jars, tell)
        check_digests(jars)
        try:
            jars.rename(folder)
        except OSError:
            if not folder.is_dir():  # else somebody else was faster, with the same ones
                raise
    return folder


def check_digests(jars: Path) -> None:
    """Every jar that must be there, nothing else, each as it was. Raises JarsDiffer."""
    lines = (line.split() for line in DIGESTS.read_text("ascii").splitlines())
    wanted = {name: digest for digest, name in lines}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in jars.iterdir()}
    if different := sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)):
        raise JarsDiffer(what=", ".join(different), digests=DIGESTS)


async def _copy(maven: Path, jars: Path, tell: Callable[[str], None]) -> None:
    """`mvn dependency:copy-dependencies`. Raises JarsNotFetched."""
    process = await asyncio.create_subprocess_exec(
        str(maven),
        "--batch-mode",
        f"--file={POM}",
        "dependency:copy-dependencies",
        "-DincludeScope=runtime",
        f"-DoutputDirectory={jars}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    lines: list[str] = []
    try:
        async with asyncio.timeout(FETCH_TIMEOUT_S):
            await _listen(process, lines, tell)
            code = await process.wait()
    except TimeoutError as error:
        raise JarsNotFetched(what=f"not done after {FETCH_TIMEOUT_S:g} s", tail=_tail(lines)) from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code:
        raise JarsNotFetched(what=f"it ended with {code}", tail=_tail(lines))


async def _listen(process: asyncio.subprocess.Process, lines: list[str], tell: Callable[[str], None]) -> None:
    assert process.stdout is not None  # noqa: S101  # it was asked for
    fetched = 0
    async for line in process.stdout:
        text = line.decode(errors="replace").strip()
        lines.append(text)
        if text.endswith(")") and "Downloaded" in text and ".jar " in text:
            fetched += 1
            if fetched % TELL_EVERY == 0:
                tell(f"  {fetched} jars")


def _tail(lines: list[str]) -> str:
    return "\n    ".join([line for line in lines if line][-LAST_LINES:])
