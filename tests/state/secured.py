"""A real server behind a password, a socket file or TLS, and the certificates for it."""

import socket
import subprocess
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.redis_server import BINARY, free_port

_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class SecuredServer:
    """Runs for a `with` block, on a port or, without one, on the socket file `path`."""

    def __init__(self, folder: Path, *options: str, tls: bool = False, on_path: bool = False) -> None:
        self.port = 0 if on_path else free_port()
        self.path = folder / "s"
        where = ["--tls-port", str(self.port), "--port", "0"] if tls else ["--port", str(self.port)]
        if on_path:
            where += ["--unixsocket", str(self.path)]
        assert BINARY
        self._argv = [BINARY, *where, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *options]
        self._folder = folder

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._argv, cwd=self._folder, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not self._listens():
            assert self._process.poll() is None, "the server does not start"
            assert time.monotonic() < end
            time.sleep(0.02)
        return self

    def _listens(self) -> bool:
        family, address = (socket.AF_INET, ("127.0.0.1", self.port)) if self.port else (socket.AF_UNIX, str(self.path))
        with suppress(OSError), socket.socket(family) as probe:
            probe.connect(address)
            return True
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()


class Authority:
    """A certificate authority of one's own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = named(name)
        self._issued = 0
        certificate = (
            builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_SIGNS_CERTIFICATES, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = folder / f"{name}.pem"
        self.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(self, host: str) -> tuple[Path, Path]:
        """The files of a certificate and of its key."""
        self._issued += 1
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(host)]
        if host[0].isdigit():
            names = [x509.IPAddress(ip_address(host))]
        certificate = (
            builder(named(host), self._name, key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        paths = self._folder / f"{self._issued}.crt", self._folder / f"{self._issued}.key"
        paths[0].write_bytes(certificate.public_bytes(Encoding.PEM))
        paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
    )
