"""The house keeps its own rules (DESIGN, sections 4.9 and 8), and each rule is seen to find its violation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit import house_rules

ROOT = Path(__file__).resolve().parents[2]

Rule = Callable[[Path], list[str]]
RULES: list[Rule] = [
    house_rules.imports_that_do_not_run_down,
    house_rules.imports_the_domain_may_not_have,
    house_rules.hidden_inputs_of_the_fold,
    house_rules.addresses_of_registries_and_machines,
    house_rules.names_that_say_nothing,
    house_rules.modules_and_functions_too_long,
    house_rules.safety_tests_without_a_control,
]


@pytest.mark.safety
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_has_no(rule: Rule) -> None:
    findings = rule(ROOT)
    assert not findings, "\n".join(findings)


def planted(root: Path, path: str, text: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    return root


@pytest.mark.control
@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("services/front_door/x.py", "from services.counter import main", "services never import each other"),
        ("services/front_door/x.py", "from services import counter", "services never import each other"),
        ("services/front_door/x.py", "from ..counter import main", "services never import each other"),
        ("services/clock/deep/x.py", "import services.audit.verify", "services never import each other"),
        ("services/state/x.py", "def f():\n    from services.allocator import loop", "arrows run down only"),
        ("services/stream/x.py", "import services.state.keys", "arrows run down only"),
        ("services/platform/x.py", "from services.stream import place", "arrows run down only"),
        ("services/domain/x.py", "from services.platform import settings", "arrows run down only"),
        ("services/console/x.py", "import services.cli", "arrows run down only"),
        ("services/console/x.py", "import infra.launcher", "only the command line"),
        ("services/cli.py", "import tests.conftest", "only the command line"),
        ("services/attic/x.py", "", "stands on no floor"),
    ],
)
def test_an_import_that_does_not_run_down_is_found(tmp_path: Path, path: str, text: str, told: str) -> None:
    (finding,) = house_rules.imports_that_do_not_run_down(planted(tmp_path, path, text))
    assert told in finding


def test_imports_that_run_down_are_allowed(tmp_path: Path) -> None:
    planted(tmp_path, "services/front_door/x.py", "from services.domain import fold\nimport services.state.keys")
    planted(tmp_path, "services/front_door/y.py", "from services.front_door import x\nfrom . import x\nimport aiohttp")
    planted(tmp_path, "services/stream/x.py", "from services.platform import settings")
    planted(tmp_path, "services/cli.py", "import infra.launcher\nimport services.front_door.main")
    assert house_rules.imports_that_do_not_run_down(tmp_path) == []


@pytest.mark.control
@pytest.mark.parametrize("module", ["aiohttp", "redis.asyncio", "yaml", "asyncio", "time", "random", "os.path"])
def test_an_import_that_the_domain_may_not_have_is_found(tmp_path: Path, module: str) -> None:
    planted(tmp_path, "services/domain/x.py", f"import msgspec\nimport hashlib\nimport {module}")
    (finding,) = house_rules.imports_the_domain_may_not_have(tmp_path)
    assert finding.startswith(f"services/domain/x.py:3: imports {module};")


@pytest.mark.control
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("services/domain/fold.py", "from time import time"),
        ("services/domain/fold_expiry.py", "import random"),
        ("services/domain/rows.py", "import zoneinfo"),
        ("services/domain/rows.py", "def day(clock):\n    return clock.now()"),
        ("services/domain/rows.py", "def bucket(text):\n    return hash(text)"),
        ("services/state/library/fold.lua", "local t = redis.call('TIME')"),
        ("services/state/library/fold.lua", "local n = math.random(10)"),
        ("services/state/library/fold.lua", "redis.call('SET', key, value, 'PX', 60000)"),
        ("services/state/library/fold.lua", 'redis.call("pexpireat", key, 1)'),
    ],
)
def test_a_hidden_input_of_the_fold_is_found(tmp_path: Path, path: str, text: str) -> None:
    if not path.startswith("services/domain/fold"):
        planted(tmp_path, "services/domain/fold.py", "from services.domain import rows\n")
    (finding,) = house_rules.hidden_inputs_of_the_fold(planted(tmp_path, path, text))
    assert finding.startswith(path)


def test_what_the_fold_does_not_reach_may_know_time_zones(tmp_path: Path) -> None:
    planted(tmp_path, "services/domain/fold.py", "from services.domain.rows import Row\n")
    planted(tmp_path, "services/domain/rows.py", "import msgspec\n")
    planted(tmp_path, "services/domain/campaign.py", "import zoneinfo\n")
    planted(tmp_path, "services/state/fold.lua", "local last = row[3]  -- never math.random, never 'TIME'\n")
    assert house_rules.hidden_inputs_of_the_fold(tmp_path) == []


@pytest.mark.control
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("requirements/runtime.txt", f"# from https://{house_rules.REGISTRIES[1]}/packages/x.whl"),
        ("package.json", f'"resolved": "https://{house_rules.REGISTRIES[2]}/x"'),
        ("requirements/dev.txt", "aiohttp==1\n" + "--find-" + "links wheels\n"),
        ("requirements/dev.txt", "--index-" + "url somewhere\naiohttp==1\n"),
        ("infra/embedded/tansu.py", 'WHEELS = "/opt' + '/wheels/"'),
    ],
)
def test_an_address_of_a_registry_or_a_machine_is_found(tmp_path: Path, path: str, text: str) -> None:
    (finding,) = house_rules.addresses_of_registries_and_machines(planted(tmp_path, path, text))
    assert finding.startswith(path)


@pytest.mark.control
@pytest.mark.parametrize("path", ["services/state/utils.py", "infra/common/x.py", "tests/unit/helpers.py"])
def test_a_name_that_says_nothing_is_found(tmp_path: Path, path: str) -> None:
    (finding,) = house_rules.names_that_say_nothing(planted(tmp_path, path, ""))
    assert finding.startswith(path)


@pytest.mark.control
def test_a_module_and_a_function_that_are_too_long_are_found(tmp_path: Path) -> None:
    planted(tmp_path, "services/state/long.py", "x = 1\n" * 401)
    planted(tmp_path, "services/state/winding.py", "def f():\n" + "    x = 1\n" * 70)
    told = house_rules.modules_and_functions_too_long(tmp_path)
    assert told == [
        "services/state/long.py: 401 lines, the limit is 400",
        "services/state/winding.py:1: f has 71 lines",
    ]


@pytest.mark.control
def test_a_safety_test_without_a_control_is_found(tmp_path: Path) -> None:
    lonely = "import pytest\n\n@pytest.mark.safety\ndef test_nothing_is_oversold(): ...\n"
    planted(tmp_path, "tests/unit/test_lonely.py", lonely)
    planted(tmp_path, "tests/unit/test_paired.py", lonely + "\n@pytest.mark.control\ndef test_without_it(): ...\n")
    assert house_rules.safety_tests_without_a_control(tmp_path) == [
        "tests/unit/test_lonely.py: has safety tests and no control"
    ]
