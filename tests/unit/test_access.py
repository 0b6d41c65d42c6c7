"""Certificates, passwords and what is said where one of them is wrong: real handshakes, on loopback."""

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import Struct

from infra.access.certificates import CA_KEY, Authority, Certificate
from infra.access.passwords import password_file
from services.platform.access import CertificatesUnreadable, PasswordMissing, read_password, tls_context
from services.platform.private_files import OthersCanRead
from services.platform.settings import AccessSettings
from services.state.redis_access import RedisNotTrusted, redis_address
from services.state.store import reach
from services.stream.client import start_admin
from services.stream.kafka_access import KafkaNotTrusted, KafkaSpeaksPlain

LOOPBACK = "127.0.0.1"


class Kafka(Struct, frozen=True):
    """Settings of a client."""

    kafka: str
    access: AccessSettings
    kafka_request_timeout_s: float = 1.0
    start_timeout_s: float = 5.0


class Redis(Struct, frozen=True):
    """The same, of a Redis."""

    redis: str
    access: AccessSettings


@asynccontextmanager
async def server(certificate: Certificate | None) -> AsyncIterator[int]:
    """The port of somebody who shows that certificate, or speaks no TLS, and says nothing else."""
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.certificate, certificate.key)

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\r\n")
        writer.close()

    async with await asyncio.start_server(answer, LOOPBACK, 0, ssl=context) as listening:
        yield listening.sockets[0].getsockname()[1]


async def is_trusted(port: int, ca_file: Path) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port, ssl=tls_context(ca_file))
    except ssl.SSLCertVerificationError:
        return False
    writer.close()
    return True


async def test_who_trusts_the_authority_trusts_its_servers_and_nobody_else(tmp_path: Path) -> None:
    ours, others = Authority.in_folder(tmp_path / "ours"), Authority.in_folder(tmp_path / "others")
    async with server(ours.issue("kafka")) as port:
        assert await is_trusted(port, ours.path)
        assert not await is_trusted(port, others.path)


def test_the_authority_stays_and_its_keys_are_private(tmp_path: Path) -> None:
    first = Authority.in_folder(tmp_path / "access").path.read_bytes()
    certificate = Authority.in_folder(tmp_path / "access").issue("kafka")
    assert (tmp_path / "access" / "ca.pem").read_bytes() == first
    for path in (tmp_path / "access" / CA_KEY, certificate.key, certificate.both):
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("days", "words"), [(-1, "certificate has expired.*[Rr]enew it"), (30, "local issuer.*--kafka-ca-file")]
)
async def test_a_certificate_that_is_not_to_be_trusted_is_told_with_what_to_do(
    tmp_path: Path, days: int, words: str
) -> None:
    ours, others = Authority.in_folder(tmp_path / "ours"), Authority.in_folder(tmp_path / "others")
    trusted = ours if days < 0 else others
    async with server(ours.issue("kafka", dt.timedelta(days=days))) as port:
        settings = Kafka(f"{LOOPBACK}:{port}", AccessSettings(kafka_ca_file=trusted.path))
        with pytest.raises(KafkaNotTrusted, match=f"(?s){words}"):
            await start_admin(settings)


@pytest.mark.parametrize(
    ("days", "words"), [(-1, "certificate has expired.*has to be renewed"), (30, "local issuer.*--redis-ca-file")]
)
async def test_the_same_of_redis(tmp_path: Path, days: int, words: str) -> None:
    ours, others = Authority.in_folder(tmp_path / "ours"), Authority.in_folder(tmp_path / "others")
    trusted = ours if days < 0 else others
    async with server(ours.issue("redis", dt.timedelta(days=days))) as port:
        url = redis_address(Redis(f"rediss://{LOOPBACK}:{port}/0", AccessSettings(redis_ca_file=trusted.path)))
        with pytest.raises(RedisNotTrusted, match=f"(?s){words}"):
            await reach(url, timeout_s=2.0, within_s=30.0)


async def test_a_server_of_another_name_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Authority.in_folder(tmp_path / "ours")
    monkeypatch.setattr("infra.access.certificates.LOOPBACK", "127.0.0.2")
    async with server(ours.issue("kafka")) as port:
        with pytest.raises(KafkaNotTrusted, match="(?s)IP address mismatch.*by a name that stands in it"):
            await start_admin(Kafka(f"{LOOPBACK}:{port}", AccessSettings(kafka_ca_file=ours.path)))


async def test_who_speaks_no_tls_is_told(tmp_path: Path) -> None:
    ours = Authority.in_folder(tmp_path / "ours")
    async with server(None) as port:
        with pytest.raises(KafkaSpeaksPlain, match="does not speak TLS"):
            await start_admin(Kafka(f"{LOOPBACK}:{port}", AccessSettings(kafka_ca_file=ours.path)))


def test_a_password_is_made_once_and_is_the_first_line_of_its_file(tmp_path: Path) -> None:
    path = password_file(tmp_path / "access", "clock")
    made = read_password(path, what="Kafka", user="clock", option="kafka-password-file")
    assert password_file(tmp_path / "access", "clock").read_text("ascii") == f"{made}\n"
    assert len(made) >= 32


def test_a_password_file_that_is_missing_or_empty_or_for_everybody_is_told(tmp_path: Path) -> None:
    def of(path: Path | None) -> str:
        return read_password(path, what="Kafka", user="clock", option="kafka-password-file")

    with pytest.raises(PasswordMissing, match="Kafka user 'clock'.*--kafka-password-file FILE"):
        of(None)
    with pytest.raises(PasswordMissing, match="is not there"):
        of(tmp_path / "nothing")
    path = tmp_path / "empty"
    path.touch(mode=0o600)
    with pytest.raises(PasswordMissing, match="is empty"):
        of(path)
    path.chmod(0o644)
    with pytest.raises(OthersCanRead, match="chmod 600"):
        of(path)


def test_a_file_without_certificates_is_told(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing of the kind", "ascii")
    for path in (tmp_path / "ca.pem", tmp_path / "nothing"):
        with pytest.raises(CertificatesUnreadable, match="Certificates in PEM"):
            tls_context(path)
