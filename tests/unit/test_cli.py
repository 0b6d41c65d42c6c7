"""The command line without a system: options, messages and exit codes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from services import cli
from services.platform.errors import MasklineError

CAMPAIGNS = Path(__file__).resolve().parents[2] / "infra/campaigns"


def run(*arguments: str | Path, stdin: str = "") -> Result:
    return CliRunner().invoke(cli.maskline, [str(each) for each in arguments], input=stdin, prog_name="maskline")


def failure(result: Result) -> MasklineError:
    """The error of ours that a command ended with; `main` prints it."""
    assert isinstance(result.exception, MasklineError), result.output
    return result.exception


def test_help_names_every_command_and_imports_none_of_them() -> None:
    look = (
        "import sys; sys.argv[1:] = ['--help']\nfrom services.cli import maskline\n"
        "try: maskline()\nexcept SystemExit: pass\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('aiohttp', 'aiokafka', 'redis', 'rich')])"
    )
    told = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, timeout=30).stdout
    for name in ("demo", "up", *cli.PROCESSES, "campaign", "user", "verify", "doctor"):
        assert f"\n  {name} " in told
    assert told.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", [*cli.PROCESSES, "up", "demo", "verify", "doctor"])
def test_every_command_tells_its_options_and_their_variables(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "MASKLINE_DATA" in result.output.replace("\n", "")


def test_a_variable_means_the_same_to_every_command() -> None:
    kinds: dict[str, dict[str, str]] = {}
    for path, command in commands(cli.maskline):
        with command.make_context("maskline", [], resilient_parsing=True) as context:
            for parameter in context.command.params:
                if isinstance(parameter.envvar, str):
                    kinds.setdefault(parameter.envvar, {})[path] = str(parameter.type.to_info_dict())
    assert "maskline up" in kinds["MASKLINE_DATA"]
    assert {name: of for name, of in kinds.items() if len(set(of.values())) > 1} == {}


def commands(group: click.Group, path: str = "maskline") -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_a_wrong_value_is_told_with_its_option() -> None:
    result = run("clock", "--tick-s", "-1")
    assert result.exit_code == 2
    assert "--tick-s" in result.output


def test_a_right_campaign_file_is_told_with_its_size() -> None:
    result = run("campaign", "check", CAMPAIGNS / "suikang-v1.yaml")
    assert result.exit_code == 0
    assert "100 pharmacies, 600 slots" in result.output


def test_everything_wrong_with_a_campaign_file_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    text = (CAMPAIGNS / "suikang-v1.yaml").read_text("utf-8")
    file.write_text(text.replace("units_max: 5", "units_max: 0\n  claim_h: 2"), "utf-8")
    error = failure(run("campaign", "check", file))
    told = str(error)
    assert error.exit_code == 1
    assert "units_max" in told
    assert "claim_h" in told
    assert "suikang-v1-pharmacies.csv" in told  # it is not beside the file


@pytest.mark.parametrize("verb", ["check", "apply"])
def test_a_campaign_file_that_is_not_there_could_not_be_looked_at(verb: str, tmp_path: Path) -> None:
    error = failure(run("campaign", verb, tmp_path / "nowhere.yaml"))
    assert error.exit_code == 2
    assert "nowhere.yaml cannot be read: No such file or directory" in str(error)


@pytest.mark.parametrize(
    "command",
    [("verify",), ("campaign", "export", "x"), ("campaign", "apply", CAMPAIGNS / "suikang-v1.yaml")],
)
def test_where_nothing_runs_the_command_that_starts_it_is_named(command: tuple[str, ...], tmp_path: Path) -> None:
    error = failure(run(*command, "--data", tmp_path))
    assert "maskline up" in str(error)
    assert error.exit_code == 2


def test_verify_says_in_json_that_it_could_not_look(tmp_path: Path) -> None:
    result = run("verify", "--json", "--data", tmp_path)
    assert json.loads(result.output)["verify"] == "could not look"
    assert failure(result).exit_code == 2


def test_verify_against_a_kafka_that_is_not_there_ends_in_words(tmp_path: Path) -> None:
    result = run(
        "verify",
        "--kafka",
        "127.0.0.1:1",
        "--redis",
        "redis://127.0.0.1:1/0",
        "--start-timeout-s",
        "0.1",
        "--data",
        tmp_path,
    )
    assert "did not answer" in str(failure(result))


def test_doctor_looks_at_the_machine_where_nothing_runs(tmp_path: Path) -> None:
    result = run("doctor", "--data", tmp_path / "none")
    assert result.exit_code == 0
    assert "no data folder" in result.output
    assert "no system runs" in result.output


def test_doctor_tells_secrets_that_others_can_read(tmp_path: Path) -> None:
    from services.platform.secrets import Secrets

    Secrets.create(tmp_path / "secrets")
    (tmp_path / "secrets").chmod(0o755)
    result = run("doctor", "--data", tmp_path)
    assert result.exit_code == 1
    assert "chmod 700" in result.output


def test_doctor_tells_each_thing_once(tmp_path: Path) -> None:
    from services.platform.secrets import Secrets

    Secrets.create(tmp_path / "secrets")
    for name in ("pepper", "ticket"):
        (tmp_path / "secrets" / name).chmod(0o644)
    result = run("doctor", "--data", tmp_path)
    assert result.exit_code == 1
    assert [result.output.count(f"can read {tmp_path / 'secrets' / name}") for name in ("pepper", "ticket")] == [1, 1]


def test_doctor_tells_a_contact_key_that_no_clock_has_deleted(tmp_path: Path) -> None:
    from services.platform.contact import ContactKeys
    from services.platform.secrets import Secrets

    keys = ContactKeys(Secrets.create(tmp_path / "secrets").contact_folder)
    keys.create("gz-2020-02", date(2020, 2, 17))
    keys.create("to-come", date(2999, 1, 1))
    result = run("doctor", "--data", tmp_path)
    assert result.exit_code == 1
    assert "the contact key of campaign gz-2020-02 had to be deleted on 2020-02-17: look whether" in result.output
    assert "to-come" not in result.output


@pytest.mark.parametrize("command", [("verify",), ("doctor",), ("rebuild",), ("campaign", "export")])
def test_what_only_looks_has_no_options_of_those_who_listen(command: tuple[str, ...]) -> None:
    told = run(*command, "--help").output
    assert "--kafka" in told
    assert "--host" not in told
    assert "--admin-port" not in told


def test_a_short_password_is_refused_and_no_user_is_made(tmp_path: Path) -> None:
    data = tmp_path / "data"
    error = failure(run("user", "add", "lin", "--password-stdin", "--data", data, stdin="short\n"))
    assert "at least 10 characters" in str(error)
    assert "no users yet" in run("user", "list", "--data", data).output


def test_a_new_pass_key_is_made_and_told_by_its_id(tmp_path: Path) -> None:
    from services.platform.secrets import Secrets

    folder = tmp_path / "secrets"
    old = Secrets.create(folder).pass_signer().key_id
    result = run("keys", "rotate-pass", "--data", tmp_path)
    new = Secrets.load(folder).pass_signer().key_id
    assert result.exit_code == 0
    assert new != old
    assert f"Pass key {new} is there" in result.output
    assert result.output.endswith(f"stay valid until you delete the files of these:\n{old}\n")


def test_no_pass_key_is_made_where_there_are_no_secrets_or_the_keys_are_the_operators(tmp_path: Path) -> None:
    from services.platform.secrets import Secrets

    assert "is not there" in str(failure(run("keys", "rotate-pass", "--data", tmp_path)))
    Secrets.create(tmp_path / "secrets")
    given = ("--pass-keys", tmp_path / "secrets" / "pass")
    assert "files of yours" in str(failure(run("keys", "rotate-pass", "--data", tmp_path, *given)))
    assert len(list((tmp_path / "secrets" / "pass").iterdir())) == 1


def test_an_error_of_ours_is_printed_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["maskline", "verify", "--data", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("maskline: No system runs with the data folder")
