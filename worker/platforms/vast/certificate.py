"""The pair by which clients know this worker: looked at, asked for, put where the SDK reads it.

Vast's clients check the certificate's name against the address that the router gave them, so one that does not name
this worker's public address is as good as none.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from worker.errors import StartupError

SUBJECT = "pyworker.vast.ai"
ASKED_ADDRESS = ipaddress.ip_address("0.0.0.0")  # noqa: S104 - as Vast's own script asks; the signer writes the true one
MARGIN = datetime.timedelta(days=7)
"""So long before its end a certificate is made anew, or in the last third of its life, whichever is shorter."""


class UnusableCertificate(Exception):
    """Why a certificate is no good."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """One that is good for this worker, for now."""

    begins: datetime.datetime
    ends: datetime.datetime

    @property
    def renew_at(self) -> datetime.datetime:
        return self.ends - min(MARGIN, (self.ends - self.begins) / 3)


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """Two files, either of which may be a link to where it can be written."""

    certificate: Path
    key: Path

    def load(self, host: str, now: datetime.datetime) -> Certificate:
        """Raises UnusableCertificate."""
        try:
            return check_certificate(self.certificate.read_bytes(), self.key.read_bytes(), host, now)
        except OSError as error:
            raise UnusableCertificate(f"{error.filename} can't be read: {error.strerror}") from error

    def check_writable(self) -> None:
        """Before anybody is asked to sign. Raises StartupError."""
        for path in (self.certificate, self.key):
            folder = path.resolve().parent
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except OSError as error:
                raise self._unwritable(path, error) from error

    def write(self, certificate: bytes, key: bytes) -> None:
        """Each whole or not at all; the key for nobody else's eyes. Raises StartupError."""
        for path, content, mode in ((self.key, key, 0o600), (self.certificate, certificate, 0o644)):
            target = path.resolve()
            draft = target.with_name(f".{target.name}.new")
            try:
                draft.unlink(missing_ok=True)
                with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                    file.write(content)
                draft.replace(target)
            except OSError as error:
                raise self._unwritable(path, error) from error

    def _unwritable(self, path: Path, error: OSError) -> StartupError:
        place = str(path) if path.resolve() == path else f"{path} -> {path.resolve()}"
        cure = "make it a link into WORKER_STATE, start as root once (`comfy-worker onstart`), or set USE_SSL=false"
        return StartupError(f"no place for the certificate: {place} can't be written ({error.strerror}); {cure}")


FIXED = CertificatePair(Path("/etc/instance.crt"), Path("/etc/instance.key"))
"""Fixed in the SDK."""


def check_certificate(certificate: bytes, key: bytes, host: str, now: datetime.datetime) -> Certificate:
    """Both as PEM, the certificate first in its chain. Raises UnusableCertificate."""
    try:
        leaf = x509.load_pem_x509_certificates(certificate)[0]
    except ValueError as error:
        raise UnusableCertificate(f"it is no certificate: {certificate[:80].decode(errors='replace')!r}") from error
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise UnusableCertificate("its key can't be read") from error
    if leaf.public_key() != private.public_key():
        raise UnusableCertificate("it is for another key")
    if leaf.not_valid_after_utc <= now:
        raise UnusableCertificate(f"it ended at {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    names = list(_names(leaf))
    if host not in names:
        raise UnusableCertificate(
            f"it is for {', '.join(names) or 'nobody'} and not for {host} (PUBLIC_IPADDR): clients refuse it"
        )
    return Certificate(leaf.not_valid_before_utc, leaf.not_valid_after_utc)


def new_request() -> tuple[bytes, bytes]:
    """A new key and the request to sign it, both PEM, in the shape that Vast's own start script sends."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SUBJECT)]))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ASKED_ADDRESS)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, request.public_bytes(serialization.Encoding.PEM)


def _names(leaf: x509.Certificate) -> Iterator[str]:
    try:
        named = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    yield from named.get_values_for_type(x509.DNSName)
    yield from map(str, named.get_values_for_type(x509.IPAddress))
