"""A little certificate authority for one machine: made on the spot, known to nobody else, short-lived.

    authority = Authority.in_folder(folder)
    certificate = authority.issue("broker-1", owner)

ca.pem          what everybody trusts
ca.key          what signs; 0600, read when something starts and never by a service
NAME.crt, NAME.key, NAME.pem   of one server, made anew at each start; NAME.pem is both, as Kafka wants them

In production certificates come from elsewhere (cert-manager, the hosting's own): nothing here is needed there.
"""

import datetime as dt
import ipaddress
from pathlib import Path
from typing import Final, NamedTuple, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from infra.embedded.commands import LOOPBACK
from services.platform.private_files import make_private_folder, read_private, replace_private

CA_DAYS: Final = 365
CERTIFICATE_DAYS: Final = 30
BACKDATED: Final = dt.timedelta(hours=1)
"""Clocks of one machine's processes agree, but tests turn them."""
ORGANISATION: Final = "Maskline on this machine"
CA: Final = "ca.pem"
CA_KEY: Final = "ca.key"
NOTHING_BEYOND: Final = dict.fromkeys(
    ("content_commitment", "data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False
)
PRIVATE: Final = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class Certificate(NamedTuple):
    """Files of one server: certificate, key, and both in one file."""

    certificate: Path
    key: Path
    both: Path


class Authority:
    """Signs for servers on loopback."""

    def __init__(self, folder: Path, own: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.folder = folder
        self._own = own
        self._key = key

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        """The one of this folder; a new one where there is none, or where it would end before what it signs."""
        make_private_folder(folder)
        if (folder / CA).exists() and (folder / CA_KEY).exists():
            own = x509.load_pem_x509_certificate((folder / CA).read_bytes())
            key = serialization.load_pem_private_key(read_private(folder / CA_KEY), None)
            if own.not_valid_after_utc > now() + dt.timedelta(days=CERTIFICATE_DAYS):
                assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101  # we made it
                return cls(folder, own, key)
        key = ec.generate_private_key(ec.SECP256R1())
        own = _self_signed(key)
        replace_private(folder / CA_KEY, key.private_bytes(serialization.Encoding.PEM, *PRIVATE))
        replace_private(folder / CA, own.public_bytes(serialization.Encoding.PEM))
        return cls(folder, own, key)

    @property
    def path(self) -> Path:
        """What everybody trusts."""
        return self.folder / CA

    def issue(self, name: str, valid: dt.timedelta = dt.timedelta(days=CERTIFICATE_DAYS)) -> Certificate:
        """A certificate for a server on loopback, which may show it to other servers as well; its subject is `name`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
        both_ways = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        usage = x509.KeyUsage(
            digital_signature=True, key_encipherment=False, key_cert_sign=False, crl_sign=False, **NOTHING_BEYOND
        )
        made = (
            x509.CertificateBuilder(self._own.subject, subject(name), key.public_key(), x509.random_serial_number())
            .not_valid_before(now() - BACKDATED + min(valid, dt.timedelta()))
            .not_valid_after(now() + valid)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.ExtendedKeyUsage(both_ways), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        files = Certificate(*(self.folder / f"{name}.{kind}" for kind in ("crt", "key", "pem")))
        private = key.private_bytes(serialization.Encoding.PEM, *PRIVATE)
        public = made.public_bytes(serialization.Encoding.PEM)
        for path, content in zip(files, (public, private, private + public), strict=True):
            replace_private(path, content)
        return files


def subject(name: str) -> x509.Name:
    """As it stands in a certificate of ours."""
    return x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, ORGANISATION),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, name),
        ]
    )


def now() -> dt.datetime:
    """In UTC."""
    return dt.datetime.now(dt.UTC)


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = subject("certificate authority")
    usage = x509.KeyUsage(
        digital_signature=False, key_encipherment=False, key_cert_sign=True, crl_sign=True, **NOTHING_BEYOND
    )
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now() - BACKDATED)
        .not_valid_after(now() + dt.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
