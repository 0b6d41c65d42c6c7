"""nginx on this machine: one before the front doors, one before counter and console, made from infra/nginx/*.conf.

    edge = Nginx(folder, ports)
    edge.prepare(front_door="127.0.0.1:…", counter=…, console=…)
    Launcher(edge.specs(), …)

public/nginx.conf, staff/nginx.conf     written anew at each start
public/tls.crt, public/tls.key          made on the spot, for as long as nobody puts real ones there
staff/tls.crt, staff/tls.key            with `make up TLS=1`, where staff come by TLS alone
"""

import asyncio
import datetime as dt
import ipaddress
import resource
import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from string import Template
from typing import Final, NamedTuple

from infra.access.certificates import Certificate
from infra.embedded.commands import LOOPBACK
from infra.launcher.guard import guarded
from infra.launcher.process import ProcessSpec
from infra.local.missing import PartMissing
from infra.local.nginx_problems import problem_pages, problem_texts
from infra.local.unprivileged import NOBODY, own_folder, user_for
from services.platform.private_files import replace_private

INSTALL: Final = "apt-get install nginx-light"
DEBIANS: Final = "/usr/sbin/nginx"
HERE: Final = Path(__file__).resolve().parents[1] / "nginx"
PUBLIC: Final = "public"
STAFF: Final = "staff"
CONF: Final = "nginx.conf"
ANSWER_TIMEOUT_S: Final = 1.0
REQUESTS_PER_S: Final = 1_000
"""Of one address. A carrier's address stands for thousands, who tap every 5 s at most."""
WORKERS: Final = 1
CONNECTIONS: Final = {PUBLIC: 20_480, STAFF: 4_096}
OPEN_FILES: Final = 65_536
SPARE_FILES: Final = 256
"""Listeners, cached pages, bodies that are collected."""
CERTIFICATE_DAYS: Final = 90


class EdgePorts(NamedTuple):
    """Where nginx listens; `secure` is the front door by TLS, with HTTP/2."""

    front_door: int
    counter: int
    console: int
    secure: int


class _Conf(Template):
    """nginx's own names begin with $. (The base class compiles the pattern.)"""

    delimiter = "@"
    pattern = r"@(?:(?P<named>[A-Z_]+)@|(?P<escaped>(?!))|(?P<braced>(?!))|(?P<invalid>(?!)))"  # type: ignore[assignment]


def find_nginx() -> Path:
    """Raises PartMissing. Debian keeps it where only root's PATH leads."""
    found = shutil.which("nginx") or shutil.which(DEBIANS)
    if found is None:
        why = f"there is no `nginx` on the PATH and no {DEBIANS}"
        raise PartMissing(part="nginx", why=why, command=INSTALL)
    return Path(found)


class Nginx:
    """Two servers; their files are in `folder`."""

    def __init__(self, folder: Path, ports: EdgePorts) -> None:
        self._folder = folder
        self._ports = ports
        self._program = Path()
        self._user = ""
        self._staff_scheme = "http"

    def urls(self) -> dict[str, str]:
        """Where people come, by what they come for; `prepare` comes first."""
        return {
            "front_door": f"http://{LOOPBACK}:{self._ports.front_door}",
            "front_door_tls": f"https://{LOOPBACK}:{self._ports.secure}",
            "counter": f"{self._staff_scheme}://{LOOPBACK}:{self._ports.counter}",
            "console": f"{self._staff_scheme}://{LOOPBACK}:{self._ports.console}",
        }

    def prepare(self, *, front_door: str, counter: str, console: str, certificate: Certificate | None = None) -> None:
        """Settings for these services, each host:port. Raises PartMissing.

        With `certificate` everybody comes by TLS alone, and residents who come plainly are sent there; without it the
        public's nginx signs its own, and who likes comes plainly.
        """
        self._program = find_nginx()
        self._user = user_for("nginx", ("www-data", "nginx", NOBODY), INSTALL)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        own_folder(self._folder / PUBLIC, self._user)
        if certificate is None:
            make_certificate(self._folder / PUBLIC)
        else:
            for name in (PUBLIC, STAFF):
                _hand_over(certificate, self._folder / name)
        self._staff_scheme = "http" if certificate is None else "https"
        staff_tls = "" if certificate is None else _tls(signed=True)
        secure = f"        listen {LOOPBACK}:{self._ports.secure} ssl http2 backlog=4096;"
        plain = f"        listen {LOOPBACK}:{self._ports.front_door} backlog=4096;"
        # max_fails: of one address there is no other to go to, and to stop asking it would only lengthen its absence.
        self._write(
            PUBLIC,
            REDIRECT="" if certificate is None else _redirect(plain, self._ports.secure),
            LISTEN=f"{plain}\n{secure}" if certificate is None else secure,
            FRONT_DOORS=f"        server {front_door} max_fails=0;",
            TLS=_tls(signed=certificate is not None),
            WORKERS=str(WORKERS),
            REQUESTS_PER_S=str(REQUESTS_PER_S),
        )
        self._write(
            STAFF,
            COUNTER_LISTEN=f"{LOOPBACK}:{self._ports.counter}{' ssl http2' if staff_tls else ''}",
            CONSOLE_LISTEN=f"{LOOPBACK}:{self._ports.console}{' ssl http2' if staff_tls else ''}",
            TLS=staff_tls,
            COUNTER=counter,
            CONSOLE=console,
        )

    def specs(self) -> list[ProcessSpec]:
        """Both; `prepare` comes first."""
        return [self._spec(PUBLIC, 0, self._ports.front_door), self._spec(STAFF, 1, self._ports.counter)]

    def _spec(self, name: str, index: int, port: int) -> ProcessSpec:
        # `-e`: else it opens a log in /var/log before it reads a setting.
        program = [str(self._program), "-e", "stderr", "-p", "./", "-c", CONF]
        return ProcessSpec(
            name=f"nginx-{name}",
            service="nginx",
            index=index,
            # Killed, it would leave its workers behind; asked to end, it takes them along.
            command=guarded(program, user=self._user, folder=self._folder / name, at_our_death=signal.SIGTERM),
            is_ready=partial(is_listening, port),
        )

    def _write(self, name: str, **values: str) -> None:
        folder = self._folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = open_files()
        values |= {"OPEN_FILES": str(files), "CONNECTIONS": str(min(CONNECTIONS[name], files - SPARE_FILES))}
        (folder / CONF).write_text(filled((HERE / f"{name}.conf").read_text("utf-8"), values), "utf-8")
        own_folder(folder, self._user)


def _tls(*, signed: bool) -> str:
    """Of a server that listens by TLS; `signed` by somebody whom a browser may insist on."""
    lines = [
        "        ssl_certificate tls.crt;",
        "        ssl_certificate_key tls.key;",
        "        ssl_protocols TLSv1.2 TLSv1.3;",
        "        ssl_session_cache shared:tls:10m;",
    ]
    if signed:
        lines.append('        add_header Strict-Transport-Security "max-age=31536000" always;')
    return "\n".join(lines)


def _redirect(listen: str, secure: int) -> str:
    """A server that only says where to come instead: 308, so that a booking stays one. Nothing is handed on."""
    lines = [
        "    server {",
        listen,
        "        server_name _;",
        "        location / {",
        f"            return 308 https://$host:{secure}$request_uri;",
        "        }",
        problem_pages(),
        "    }",
    ]
    return "\n".join(lines)


def _hand_over(certificate: Certificate, folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_private(folder / "tls.key", certificate.key.read_bytes())
    replace_private(folder / "tls.crt", certificate.certificate.read_bytes())


def filled(conf: str, values: Mapping[str, str]) -> str:
    """A file of infra/nginx with its @NAMES@ filled in. Raises KeyError where one has no value."""
    texts = {"NAMES": "Names", "PROBLEM_TEXTS": problem_texts(), "PROBLEMS": problem_pages()}
    return _Conf(conf).substitute(texts | dict(values))


def open_files() -> int:
    """How many files a worker may have open: who is not root cannot have more than this machine gives everybody."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)


async def is_listening(port: int) -> bool:
    """Whether somebody takes connections there."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            _, writer = await asyncio.open_connection(LOOPBACK, port)
            writer.close()
        return True
    return False


def make_certificate(folder: Path) -> None:
    """A self-signed certificate for loopback, where there is none or the one that we made is about to end."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    certificate, key_file = folder / "tls.crt", folder / "tls.key"
    now = dt.datetime.now(dt.UTC)
    if certificate.exists() and key_file.exists():
        known = x509.load_pem_x509_certificate(certificate.read_bytes())
        if known.issuer != known.subject or known.not_valid_after_utc > now + dt.timedelta(days=1):
            return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "maskline on this machine")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key_file.touch(mode=0o600)
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
