"""The worker's TLS certificate and key: checks, signing requests, and the files that the SDK reads.

Vast's clients compare the certificate's name with the address that the router gave them. They reject a certificate that
does not name the worker's public address.
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
REQUESTED_ADDRESS = ipaddress.ip_address("0.0.0.0")  # noqa: S104 - as in Vast's script; the signer fills in the real one
MARGIN = datetime.timedelta(days=7)
"""A certificate is renewed this long before its end, or in the last third of its life, whichever is shorter."""


class UnusableCertificate(Exception):
    """A certificate cannot be used; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The validity of a certificate that this worker can use now."""

    begins: datetime.datetime
    ends: datetime.datetime

    @property
    def renew_at(self) -> datetime.datetime:
        """Time from which the certificate should be renewed."""
        return self.ends - min(MARGIN, (self.ends - self.begins) / 3)


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """The paths of the certificate and the key. Either may be a link to a writable place."""

    certificate: Path
    key: Path

    def load(self, host: str, now: datetime.datetime) -> Certificate:
        """Return the validity of the certificate in the files.

        Raises UnusableCertificate when it is not for `host`, has expired at `now`, or cannot be read.
        """
        try:
            return check_certificate(self.certificate.read_bytes(), self.key.read_bytes(), host, now)
        except OSError as error:
            raise UnusableCertificate(f"{error.filename} cannot be read: {error.strerror}") from error

    def check_writable(self) -> None:
        """Raise StartupError when the files cannot be written. Call it before a signature is requested."""
        for path in (self.certificate, self.key):
            folder = path.resolve().parent
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except OSError as error:
                raise self._unwritable(path, error) from error

    def write(self, certificate: bytes, key: bytes) -> None:
        """Write both files (PEM), each atomically. Only this user can read the key. Raises StartupError."""
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
        """Return the error for a path that cannot be written."""
        location = str(path) if path.resolve() == path else f"{path} -> {path.resolve()}"  # a link and its target
        cure = "make it a link into WORKER_STATE, start as root once (`comfy-worker onstart`), or set USE_SSL=false"
        return StartupError(f"the certificate cannot be written to {location} ({error.strerror}); {cure}")


SDK_PATHS = CertificatePair(Path("/etc/instance.crt"), Path("/etc/instance.key"))
"""The paths that the SDK reads. They cannot be configured."""


def check_certificate(certificate: bytes, key: bytes, host: str, now: datetime.datetime) -> Certificate:
    """Return the validity of a certificate (PEM, first in its chain) that fits the key (PEM) and the host.

    Raises UnusableCertificate with the reason when it does not fit or has expired.
    """
    try:
        leaf = x509.load_pem_x509_certificates(certificate)[0]
    except ValueError as error:
        raise UnusableCertificate(f"it is not a certificate: {certificate[:80].decode(errors='replace')!r}") from error
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError) as error:
        raise UnusableCertificate("its key cannot be read") from error
    if leaf.public_key() != private.public_key():
        raise UnusableCertificate("it is for another key")
    if leaf.not_valid_after_utc <= now:
        raise UnusableCertificate(f"it expired at {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    names = list(_names(leaf))
    if host not in names:
        raise UnusableCertificate(
            f"it names {', '.join(names) or 'no host'} and not {host} (PUBLIC_IPADDR), so clients reject it"
        )
    return Certificate(leaf.not_valid_before_utc, leaf.not_valid_after_utc)


def new_request() -> tuple[bytes, bytes]:
    """Return a new RSA key and a signing request for it, both PEM, as Vast's own start script makes them."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, SUBJECT)]))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(REQUESTED_ADDRESS)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, request.public_bytes(serialization.Encoding.PEM)


def _names(leaf: x509.Certificate) -> Iterator[str]:
    """Yield the DNS names and IP addresses that a certificate is for."""
    try:
        named = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    yield from named.get_values_for_type(x509.DNSName)
    yield from map(str, named.get_values_for_type(x509.IPAddress))
