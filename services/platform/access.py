"""Being let in: passwords from files, and whom to trust on the other side of a connection.

A password is never an option and never a variable: everybody on a machine can read a command line, and every child has
its parent's variables.
"""

import ssl
from pathlib import Path

from services.platform.errors import MasklineError
from services.platform.private_files import read_mounted


class PasswordMissing(MasklineError):
    """There is no password for the {what} user '{user}'{where}. Name a file with it: --{option} FILE"""


class CertificatesUnreadable(MasklineError):
    """The file {path} holds no certificates that could be trusted: {why}. Certificates in PEM are wanted there."""


def read_password(path: Path | None, *, what: str, user: str, option: str) -> str:
    """The first line of a file. Raises PasswordMissing, OthersCanRead, OthersCanChange, NotPrivateMaterial."""
    if path is None:
        raise PasswordMissing(what=what, user=user, where="", option=option)
    try:
        lines = read_mounted(path).decode(errors="replace").splitlines()
    except FileNotFoundError as error:
        raise PasswordMissing(what=what, user=user, where=f": {path} is not there", option=option) from error
    if not lines or not lines[0]:
        raise PasswordMissing(what=what, user=user, where=f": {path} is empty", option=option)
    return lines[0]


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Trusts who is signed by a certificate of the file, or of the system, and has the name that was called.

    Raises CertificatesUnreadable.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise CertificatesUnreadable(path=ca_file, why=why) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def anybody() -> ssl.SSLContext:
    """Trusts whoever answers: only to learn whether somebody speaks TLS, never to say anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
