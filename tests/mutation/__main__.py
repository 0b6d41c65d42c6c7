"""`make mutants`: changes the reference fold in one place after the other, and tells which changes no test notices.

    make mutants                          # goes on where it stopped; as long as nothing changed in between
    make mutants ARGS=--survivors         # only what survived last: for who writes the missing tests
    make mutants ARGS="--minutes 5 waiting.py"

Verdicts stand in `.mutation/`, one line each. The exit code is 1 where one change in ten survives, or more.
"""

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.mutation.changes import Change, changes_of
from tests.mutation.equivalent import EQUIVALENT
from tests.mutation.trials import Trials, Verdict

ROOT: Final = Path(__file__).resolve().parents[2]
FOLD: Final = ("services/domain/fold.py", "services/domain/rows.py", "services/domain/rules/*.py")
KEPT: Final = ROOT / ".mutation"
SURVIVORS_PER_CHANGE: Final = 0.1  # fewer than that may survive
TELL_EVERY_S: Final = 30.0


def main() -> int:
    asked = _asked()
    paths = sorted(str(path.relative_to(ROOT)) for pattern in FOLD for path in ROOT.glob(pattern))
    changes = [change for path in paths if asked.words in path for change in changes_of(ROOT / path, path)]
    verdicts = _Verdicts(paths, also_of_before=asked.survivors)
    left = [change for change in changes if change.name not in verdicts]
    print(f"{len(changes)} changes, {len(left)} to try", flush=True)
    if left:
        _try(left, Trials(ROOT, paths), verdicts, time.monotonic() + asked.minutes * 60)
    return _tell(changes, verdicts)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description="changes the fold and sees who notices")
    parser.add_argument("--minutes", type=float, default=40, help="stops then; the next run goes on (default: 40)")
    parser.add_argument("--survivors", action="store_true", help="believes what was killed with other tests or sources")
    parser.add_argument("words", nargs="?", default="", help="only files whose path holds this")
    return parser.parse_args()


class _Verdicts:
    """What became of changes: good as long as neither the fold nor its tests change."""

    def __init__(self, paths: list[str], *, also_of_before: bool) -> None:
        KEPT.mkdir(exist_ok=True)
        tests = sorted((ROOT / "tests/contract").glob("*.py"))
        texts = [path.read_bytes() for path in [*(ROOT / path for path in paths), ROOT / "tests/builders.py", *tests]]
        self._file = KEPT / f"{hashlib.sha256(b''.join(texts)).hexdigest()[:16]}.jsonl"
        self._known: dict[str, Verdict] = {}
        if also_of_before:
            for file in KEPT.glob("*.jsonl"):
                self._known |= {name: said for name, said in _read(file).items() if said is not Verdict.SURVIVED}
        self._known |= _read(self._file)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def __getitem__(self, name: str) -> Verdict:
        return self._known[name]

    def keep(self, name: str, verdict: Verdict) -> None:
        self._known[name] = verdict
        with self._file.open("a") as file:
            file.write(json.dumps([name, verdict]) + "\n")


def _read(file: Path) -> dict[str, Verdict]:
    lines = file.read_text().splitlines() if file.exists() else []
    return {name: Verdict(said) for name, said in map(json.loads, lines)}


def _try(changes: list[Change], trials: Trials, verdicts: _Verdicts, until_s: float) -> None:
    told_s = time.monotonic()
    for count, change in enumerate(changes):
        if time.monotonic() > until_s:
            print(f"{len(changes) - count} are left: the same command goes on", flush=True)
            return
        verdict = trials.judge(change.path, change.lines, change.text)
        verdicts.keep(change.name, verdict)
        if verdict is Verdict.SURVIVED:
            print(change.told + "\n", flush=True)
        if time.monotonic() - told_s > TELL_EVERY_S:
            told_s = time.monotonic()
            print(f"… {count + 1} of {len(changes)}", flush=True)


def _tell(changes: list[Change], verdicts: _Verdicts) -> int:
    tried = [change for change in changes if change.name in verdicts]
    survivors = [change for change in tried if verdicts[change.name] is Verdict.SURVIVED]
    counted = [change for change in survivors if change.told not in EQUIVALENT]
    for change in counted:
        print(change.told + "\n")
    told = {change.told for change in changes}
    for gone in [gone for gone in EQUIVALENT if gone not in told and gone.split(":")[0] in {c.path for c in changes}]:
        print(f"is no change any more, and goes from tests/mutation/equivalent.py:\n{gone}\n")
    for noticed in [each.told for each in tried if each.told in EQUIVALENT and each not in survivors]:
        print(f"is noticed now, and goes from tests/mutation/equivalent.py:\n{noticed}\n")
    counts = Counter(verdicts[change.name].value for change in tried)
    share = len(counted) / max(1, len(tried))
    print(f"{len(tried)} of {len(changes)} changes tried: {dict(counts)}")
    print(f"{len(survivors) - len(counted)} of the survivors change nothing (tests/mutation/equivalent.py says why)")
    print(f"survivors that count: {len(counted)}, {share:.1%}")
    return int(share >= SURVIVORS_PER_CHANGE)


if __name__ == "__main__":
    sys.exit(main())
