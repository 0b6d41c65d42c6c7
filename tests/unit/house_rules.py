"""The rules of the house as functions over a source tree: each returns what breaks it, one line a finding.

They take the root of a tree, so that a control can plant a violation in a tree of its own and see it found.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FLOOR = {
    "cli": 5,
    **dict.fromkeys(["front_door", "counter", "console", "allocator", "clock", "notifier", "ledger", "audit"], 4),
    "state": 3,
    "sql": 3,
    "stream": 2,
    "platform": 2,
    "domain": 1,
}
"""Arrows run down only: a package imports packages of lower floors, never its own floor or above."""
ALONG_A_FLOOR = {("stream", "platform")}
"""The one exception, and never back: what speaks Kafka takes its settings and errors in the form the house has."""

PRODUCT = ("services", "infra", "loadtests")
NOT_SOURCE = {".git", "build", "dist", "node_modules", "__pycache__"}  # .git is a file in a second working tree
HIDDEN_BUT_SOURCE = {".ci", ".github"}
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc"}
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70

# What would let the fold see more than the record and its keys.
HIDDEN_MODULES = {
    "asyncio", "locale", "os", "platform", "random", "secrets", "socket", "subprocess", "tempfile", "threading", "time",
    "uuid",
}  # fmt: skip
TIME_TABLES = {"datetime", "zoneinfo", "calendar"}
HIDDEN_CALLS = {"now", "utcnow", "today"}
HIDDEN_BUILTINS = {"hash", "id", "open", "input"}
HIDDEN_IN_LUA = re.compile(
    r"\bmath\s*\.\s*random|\bos\s*\.\s*(?:time|clock|date)\b"
    r"|['\"](?:TIME|RANDOMKEY|[SHZ]RAND\w+|SPOP|P?EXPIRE\w*|GETEX|P?SETEX|P?TTL|SCAN|KEYS)['\"]"
    r"|['\"](?:EX|PX|EXAT|PXAT)['\"]",
    re.IGNORECASE,
)

# Put together here, so that this file does not hold what it looks for.
REGISTRIES = tuple(
    f"{host}.{domain}"
    for host, domain in (
        ("pypi", "org"), ("files.pythonhosted", "org"), ("registry.npmjs", "org"), ("registry.yarnpkg", "com"),
        ("crates", "io"), ("repo.maven.apache", "org"), ("repo1.maven", "org"), ("proxy.golang", "org"),
        ("deb.debian", "org"), ("archive.ubuntu", "com"),
    )
)  # fmt: skip
LOCK_OPTIONS = re.compile(r"^\s*(?:-i|-f|--(?:extra-)?index-url|--find-links|--trusted-host)\b", re.MULTILINE)
PATH_OF_ONE_MACHINE = re.compile("/(?:" + "|".join(["root", "home/[a-z]+", "Users", "opt/wheels", "work/main"]) + ")/")
READ_AS_TEXT_MAX_BYTES = 4 * 1024 * 1024


class Imported(NamedTuple):
    module: str
    line: int


def python_files(root: Path, *folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(path for path in (root / folder).rglob("*.py") if not NOT_SOURCE & set(path.parts))


def imports_of(path: Path) -> list[Imported]:
    """Every imported module by its full name, `from services import clock` counting as `services.clock`."""
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [Imported(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # A relative import is another way to say the same package; ruff bans it, here it must not hide anything.
            base = ".".join([*_package(path)[: -node.level], node.module or ""]) if node.level else node.module or ""
            found += [Imported(f"{base}.{alias.name}".strip("."), node.lineno) for alias in node.names]
    return found


def _package(path: Path) -> list[str]:
    """`…/services/clock/main.py` → `["services", "clock", "main"]`."""
    parts = path.with_suffix("").parts
    starts = [index for index, part in enumerate(parts) if part in PRODUCT]
    return list(parts[starts[-1] :]) if starts else [parts[-1]]


def imports_that_do_not_run_down(root: Path) -> list[str]:
    findings = []
    for path in python_files(root, "services"):
        package = _package(path)
        if len(package) < 2 or package[1] == "__init__":
            continue
        mine = package[1]
        if mine not in FLOOR:
            findings.append(f"{path.relative_to(root)}: services/{mine} stands on no floor; give it one in FLOOR")
            continue
        for module, line in imports_of(path):
            why = _why_not(mine, module.split("."))
            if why:
                findings.append(f"{path.relative_to(root)}:{line}: imports {module}; {why}")
    return findings


def _why_not(mine: str, module: list[str]) -> str | None:
    if module[0] in {"infra", "loadtests", "tests"}:
        allowed = mine == "cli" and module[0] != "tests"
        return None if allowed else "only the command line knows what stands around services"
    if module[0] != "services" or len(module) < 2 or module[1] == mine:
        return None
    theirs = module[1]
    if FLOOR[mine] == 4 == FLOOR.get(theirs):
        return "services never import each other"
    if FLOOR.get(theirs, 0) >= FLOOR[mine] and (mine, theirs) not in ALONG_A_FLOOR:
        return f"{mine} is on floor {FLOOR[mine]}, {theirs} on {FLOOR[theirs]}: arrows run down only"
    return None


def imports_the_domain_may_not_have(root: Path) -> list[str]:
    allowed = (sys.stdlib_module_names | {"msgspec", "services"}) - HIDDEN_MODULES
    return [
        f"{path.relative_to(root)}:{line}: imports {module}; domain has the standard library without I/O, and msgspec"
        for path in python_files(root, "services/domain")
        for module, line in imports_of(path)
        if module.split(".")[0] not in allowed
    ]


def hidden_inputs_of_the_fold(root: Path) -> list[str]:
    """Clock, randomness, time zones, hash seeds in the model's fold and all it imports, and in the `.lua` files."""
    findings = []
    for path in _reached_by_the_fold(root):
        findings += [
            f"{path.relative_to(root)}:{line}: imports {module}; the fold reads the record and its keys only"
            for module, line in imports_of(path)
            if module.split(".")[0] in HIDDEN_MODULES | TIME_TABLES
        ]
        findings += [f"{path.relative_to(root)}:{line}: calls {name}" for name, line in _hidden_calls(path)]
    for path in sorted((root / "services").rglob("*.lua")):
        for number, line_text in enumerate(path.read_text("utf-8").splitlines(), start=1):
            found = HIDDEN_IN_LUA.search(line_text.split("--")[0])
            if found:
                findings.append(f"{path.relative_to(root)}:{number}: {found.group(0)} is a hidden input")
    return findings


def _reached_by_the_fold(root: Path) -> list[Path]:
    reached: dict[Path, None] = {}
    waiting = sorted((root / "services/domain").glob("fold*.py"))
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached[path] = None
        for module, _line in imports_of(path):
            parts = module.split(".")
            candidates = (root.joinpath(*parts[:depth]).with_suffix(".py") for depth in (3, len(parts)))
            waiting += [candidate for candidate in candidates if parts[0] == "services" and candidate.is_file()]
    return list(reached)


def _hidden_calls(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in HIDDEN_CALLS:
                yield node.func.attr, node.lineno
            elif isinstance(node.func, ast.Name) and node.func.id in HIDDEN_BUILTINS:
                yield node.func.id, node.lineno


def addresses_of_registries_and_machines(root: Path) -> list[str]:
    findings = []
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if not _is_source(inside) or not path.is_file() or path.stat().st_size > READ_AS_TEXT_MAX_BYTES:
            continue
        text = path.read_text("utf-8", errors="replace")
        findings += [f"{inside}: names the registry {host}" for host in REGISTRIES if host in text]
        places = sorted(set(PATH_OF_ONE_MACHINE.findall(text)))
        findings += [f"{inside}: {place} stands on one machine only" for place in places]
        if inside.parts[0] == "requirements":
            findings += [f"{inside}: carries {found.strip()}" for found in set(LOCK_OPTIONS.findall(text))]
    return findings


def _is_source(inside: Path) -> bool:
    """Not what tools, set-up and running systems leave: `.venv`, `.maskline`, caches, a build."""
    hidden = {part for part in inside.parent.parts if part.startswith(".")} - HIDDEN_BUT_SOURCE
    return not hidden and not NOT_SOURCE & set(inside.parts) and ".egg-info" not in str(inside)


def names_that_say_nothing(root: Path) -> list[str]:
    return [
        f"{path.relative_to(root)}: {part} says nothing; what idea lives there?"
        for path in python_files(root, *PRODUCT, "tests")
        for part in path.relative_to(root).with_suffix("").parts
        if part in SAYS_NOTHING
    ]


def modules_and_functions_too_long(root: Path) -> list[str]:
    findings = []
    for path in python_files(root, *PRODUCT, "tests"):
        text = path.read_text("utf-8")
        lines = text.count("\n")
        if lines > MODULE_LINES_MAX:
            findings.append(f"{path.relative_to(root)}: {lines} lines, the limit is {MODULE_LINES_MAX}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    findings.append(f"{path.relative_to(root)}:{node.lineno}: {node.name} has {length} lines")
    return findings


def safety_tests_without_a_control(root: Path) -> list[str]:
    """A file of tests with a safety mark has a control of its own: one elsewhere shows nothing about this test."""
    findings = []
    for path in python_files(root, "tests"):
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        marks = {_mark(node) for node in nodes if isinstance(node, ast.Attribute)}
        if "safety" in marks and "control" not in marks:
            findings.append(f"{path.relative_to(root)}: has safety tests and no control")
    return findings


def _mark(node: ast.Attribute) -> str | None:
    """`pytest.mark.safety` → `"safety"`."""
    is_mark = isinstance(node.value, ast.Attribute) and node.value.attr == "mark"
    return node.attr if is_mark else None
