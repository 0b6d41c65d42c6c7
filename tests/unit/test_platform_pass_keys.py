"""Pass keys in a process that runs: what is in the folder counts, not what was there at its start."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from services.platform import pass_keys
from services.platform.pass_keys import LOOK_AGAIN_S, PassKeys
from services.platform.passes import Pass, PassInvalid
from services.platform.secrets import Secrets

CONTENT = Pass(
    pass_no="qTv-F6UZvbbbYyiX",
    pharmacy="p-0001",
    starts_ms=1_580_518_800_000,
    ends_ms=1_580_522_400_000,
    units=5,
    salt="abcdefgh",
    last4_hash="ijklmnop",
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets.create(tmp_path / "secrets")


def test_a_pass_of_a_key_that_came_while_we_run_is_accepted(secrets: Secrets, clock: Clock) -> None:
    keys = PassKeys(secrets)
    text = secrets.rotate_pass_key().pass_signer().sign(CONTENT)
    clock.now_s += LOOK_AGAIN_S
    assert keys.verify(text) == CONTENT
    assert len(keys.published()) == 2
    assert keys.verify(keys.sign(CONTENT)) == CONTENT


@pytest.mark.safety
def test_a_new_key_signs_when_everybody_has_had_the_time_to_know_it(secrets: Secrets, clock: Clock) -> None:
    signing, verifying = PassKeys(secrets), PassKeys(secrets)
    before, after = secrets.pass_signer(), secrets.rotate_pass_key().pass_signer()
    signed = set()
    for _ in range(40):
        clock.now_s += LOOK_AGAIN_S / 4
        text = signing.sign(CONTENT)
        assert verifying.verify(text) == CONTENT
        signed.add(text)
    assert signed == {before.sign(CONTENT), after.sign(CONTENT)}
    assert signing.sign(CONTENT) == after.sign(CONTENT)


@pytest.mark.control
def test_a_key_that_signs_as_soon_as_it_is_there_makes_passes_that_a_counter_refuses(
    secrets: Secrets, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_keys, "SIGN_AFTER_S", 0.0)
    signing = PassKeys(secrets)
    clock.now_s += LOOK_AGAIN_S / 2
    verifying = PassKeys(secrets)
    secrets.rotate_pass_key()
    clock.now_s += LOOK_AGAIN_S / 2
    with pytest.raises(PassInvalid, match="not known here"):
        verifying.verify(signing.sign(CONTENT))


def test_a_key_whose_file_was_deleted_signs_no_more_from_the_next_look_on(
    secrets: Secrets, clock: Clock, tmp_path: Path
) -> None:
    keys, after = PassKeys(secrets), secrets.rotate_pass_key().pass_signer()
    (tmp_path / "secrets" / "pass" / "0001.pem").unlink()
    clock.now_s += LOOK_AGAIN_S
    assert keys.sign(CONTENT) == after.sign(CONTENT)


def test_a_pass_of_a_key_that_was_deleted_is_refused(secrets: Secrets, clock: Clock, tmp_path: Path) -> None:
    keys, text = PassKeys(secrets), secrets.pass_signer().sign(CONTENT)
    secrets.rotate_pass_key()
    (tmp_path / "secrets" / "pass" / "0001.pem").unlink()
    assert keys.verify(text) == CONTENT
    clock.now_s += LOOK_AGAIN_S
    with pytest.raises(PassInvalid, match="not known here"):
        keys.verify(text)


def test_forged_passes_do_not_make_us_read_the_folder_each_time(
    secrets: Secrets, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looks = []
    look = Secrets.with_pass_keys_of_now

    def counted(self: Secrets) -> Secrets:
        looks.append(clock.now_s)
        return look(self)

    monkeypatch.setattr(Secrets, "with_pass_keys_of_now", counted)
    keys, forged = PassKeys(secrets), Secrets.create(tmp_path / "another").pass_signer().sign(CONTENT)
    clock.now_s += LOOK_AGAIN_S
    for _ in range(100):
        with pytest.raises(PassInvalid):
            keys.verify(forged)
    assert len(looks) == 1


def test_where_the_folder_cannot_be_read_the_keys_of_before_stay(
    secrets: Secrets, clock: Clock, tmp_path: Path
) -> None:
    keys, text = PassKeys(secrets), secrets.pass_signer().sign(CONTENT)
    (tmp_path / "secrets" / "pass").chmod(0o755)
    clock.now_s += LOOK_AGAIN_S
    assert keys.verify(text) == CONTENT
