"""Console users: a private file, changed whole, that tells nobody a password."""

import fcntl
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.console import users
from services.console.sign_in import MAX_WRONG, SESSION_S, SignIn, read_admin_token
from services.console.users import (
    USERS,
    PasswordTooLong,
    PasswordTooShort,
    Role,
    UserExists,
    UserNameInvalid,
    Users,
    UsersUnreadable,
    UserUnknown,
    add_user,
    list_users,
    remove_user,
)
from services.platform.errors import MasklineError
from services.platform.private_files import OthersCanRead, create_private
from services.platform.problems import Problem
from services.platform.secrets import Secrets
from tests.unit.console_world import NAMES, PASSWORD, installation


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installation(tmp_path_factory.mktemp("installation"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


class Clock:
    """The time that sessions are held against."""

    def __init__(self) -> None:
        self.now_s = 1_580_558_400.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sign_in(shared: Path, clock: Clock) -> SignIn:
    return SignIn(Users(shared), Secrets.load(shared / "secrets"), read_admin_token(shared), clock)


def test_users_are_added_listed_and_removed(data: Path) -> None:
    assert list_users(data) == {}
    add_user(data, "mei", Role.ADMIN, PASSWORD)
    add_user(data, "lin", Role.OPERATOR, PASSWORD)
    assert {name: user.role for name, user in list_users(data).items()} == {"lin": Role.OPERATOR, "mei": Role.ADMIN}
    remove_user(data, "mei")
    assert list(list_users(data)) == ["lin"]


def test_the_file_is_private_and_holds_no_password(data: Path) -> None:
    add_user(data, "lin", Role.VIEWER, PASSWORD)
    path = data / USERS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PASSWORD not in path.read_text()
    assert "scrypt$" in path.read_text()
    assert "scrypt" not in repr(list_users(data)["lin"])


@pytest.mark.parametrize("name", ["", "Lin", "li n", "a" * 33, "-lin", "林", "a.b", "a\n", "../x"])
def test_a_name_stands_in_the_audit_trail_and_is_plain(data: Path, name: str) -> None:
    with pytest.raises(UserNameInvalid, match="audit trail"):
        add_user(data, name, Role.VIEWER, PASSWORD)


def test_what_cannot_be_is_told_in_words(data: Path) -> None:
    add_user(data, "lin", Role.VIEWER, PASSWORD)
    with pytest.raises(UserExists, match="lin already"):
        add_user(data, "lin", Role.ADMIN, PASSWORD)
    with pytest.raises(UserUnknown, match="user list"):
        remove_user(data, "mei")
    with pytest.raises(PasswordTooShort, match="at least 10"):
        add_user(data, "mei", Role.VIEWER, "short")
    with pytest.raises(PasswordTooLong):
        add_user(data, "mei", Role.VIEWER, "x" * 2_000)
    assert list(list_users(data)) == ["lin"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"users":{"lin":{"role":"king","password":"x"}}}', b"\xff"])
def test_a_file_that_is_none_is_refused_and_left_alone(data: Path, content: bytes) -> None:
    create_private(data / USERS, content)
    with pytest.raises(UsersUnreadable, match=USERS):
        list_users(data)
    with pytest.raises(UsersUnreadable):
        add_user(data, "lin", Role.VIEWER, PASSWORD)
    assert (data / USERS).read_bytes() == content


def test_a_file_that_others_can_read_is_refused_with_what_to_do(data: Path) -> None:
    add_user(data, "lin", Role.VIEWER, PASSWORD)
    (data / USERS).chmod(0o644)
    with pytest.raises(OthersCanRead, match="chmod 600"):
        list_users(data)


@pytest.mark.safety
def test_two_commands_at_once_lose_no_user(data: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from services.console import users;"
        "users.hash_password = lambda password: 'scrypt$2$8$1$AAAA$AAAA';"
        "[users.add_user(Path(sys.argv[1]), f'{sys.argv[2]}-{n}', users.Role.VIEWER, 'x' * 10) for n in range(10)]"
    )
    running = [subprocess.Popen([sys.executable, "-c", program, str(data), name]) for name in ("a", "b", "c")]
    assert [process.wait(timeout=30) for process in running] == [0, 0, 0]
    assert len(list_users(data)) == 30


@pytest.mark.control
def test_without_the_lock_a_user_is_lost(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    monkeypatch.setattr(users, "hash_password", lambda _: "scrypt$2$8$1$AAAA$AAAA")
    with users._changing(data) as first:
        with users._changing(data) as second:
            second["b"] = users.User(role=Role.VIEWER, password="x")
        first["a"] = users.User(role=Role.VIEWER, password="x")
    assert list(list_users(data)) == ["a"]


async def test_a_session_ends_with_its_time(sign_in: SignIn, clock: Clock) -> None:
    session = await sign_in.sign_in("vera", PASSWORD)
    operator = sign_in.operator(session.token)
    assert operator is not None
    assert (operator.actor, operator.role) == ("user:vera", Role.VIEWER)
    clock.now_s += SESSION_S + 1
    assert sign_in.operator(session.token) is None


async def test_no_part_of_a_session_can_be_changed(sign_in: SignIn) -> None:
    name, expires, signature = (await sign_in.sign_in("vera", PASSWORD)).token.split(".")
    for forged in (
        f"ada.{expires}.{signature}",
        f"{name}.{int(expires) + 1}.{signature}",
        f"{name}.{expires}.{signature[:-1]}",
        f"{name}.{expires}.{signature}.",
        f"{name}.+{expires}.{signature}",
        f"{name}.{expires}.",
        f"{name}.{expires}.{signature}\udcff",
        "",
        "..",
    ):
        assert sign_in.operator(forged) is None


async def test_a_session_of_another_installation_is_worth_nothing(
    sign_in: SignIn, tmp_path: Path, clock: Clock
) -> None:
    other = installation(tmp_path)
    elsewhere = SignIn(Users(other), Secrets.load(other / "secrets"), None, clock)
    assert sign_in.operator((await elsewhere.sign_in("vera", PASSWORD)).token) is None


async def test_a_role_that_changes_ends_the_session(shared: Path, tmp_path: Path, clock: Clock) -> None:
    own = installation(tmp_path)
    sign_in = SignIn(Users(own), Secrets.load(own / "secrets"), None, clock)
    token = (await sign_in.sign_in("vera", PASSWORD)).token
    text = (own / USERS).read_text()
    (own / USERS).write_text(text.replace('"viewer"', '"admin"'))
    assert sign_in.operator(token) is None


async def test_wrong_passwords_lock_a_name_for_its_time_and_no_other(
    sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(MAX_WRONG):
        with pytest.raises(Problem, match="unauthorized"):
            await sign_in.sign_in(NAMES[Role.VIEWER], "wrong password")
    with pytest.raises(Problem) as caught:
        await sign_in.sign_in(NAMES[Role.VIEWER], PASSWORD)
    assert caught.value.status == 429
    assert (await sign_in.sign_in(NAMES[Role.ADMIN], PASSWORD)).role == Role.ADMIN
    now_s = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now_s + 61)
    assert (await sign_in.sign_in(NAMES[Role.VIEWER], PASSWORD)).role == Role.VIEWER


def test_the_admin_token_is_an_admin_and_its_file_is_private(shared: Path, sign_in: SignIn, tmp_path: Path) -> None:
    token = read_admin_token(shared)
    assert token is not None
    operator = sign_in.operator(token)
    assert operator is not None
    assert (operator.actor, operator.role) == ("admin-token", Role.ADMIN)
    tmp_path.chmod(0o700)
    assert read_admin_token(tmp_path) is None
    (tmp_path / "admin-token").write_text("x")
    (tmp_path / "admin-token").chmod(0o640)
    with pytest.raises(MasklineError, match="chmod 600"):
        read_admin_token(tmp_path)
