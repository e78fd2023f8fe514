"""A certificate authority for one run, which replaces Vast's own root."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey
DAY = datetime.timedelta(days=1)


class Authority:
    """A root certificate and the server certificates that it signs.

    Vast's clients check a worker's address, so the real signer must name it in the certificate too.
    """

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("local stand-in root")
        builder = _certificate(self._name, self._name, self._key.public_key(), 365 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_signs_certificates(), critical=True)
        self._root = builder.sign(self._key, hashes.SHA256())

    @property
    def root_pem(self) -> bytes:
        """The root certificate, which a client downloads and trusts."""
        return self._root.public_bytes(serialization.Encoding.PEM)

    def server_context(self, host: str = "127.0.0.1") -> ssl.SSLContext:
        """Return the TLS context of a server named `host`, with a new key and certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = self._leaf(key.public_key(), host, 7 * DAY) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "leaf.pem")
            path.write_bytes(pem)
            context.load_cert_chain(path)
        return context

    def sign(self, request: bytes, host: str, life: datetime.timedelta) -> bytes:
        """Return a certificate (PEM) for the key of a signing request. It names `host`, whatever the request names.

        Raises ValueError when the request is not signed by the RSA key in it.
        """
        signing_request = x509.load_pem_x509_csr(request)
        key = signing_request.public_key()
        if not signing_request.is_signature_valid or not isinstance(key, rsa.RSAPublicKey):
            raise ValueError("the request is not signed by the RSA key in it")
        return self._leaf(key, host, life)

    def _leaf(self, key: PublicKey, host: str, life: datetime.timedelta) -> bytes:
        """Return a server certificate for a host, signed by the root."""
        builder = _certificate(_name(host), self._name, key, life)
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _general_name(host: str) -> x509.GeneralName:
    """Return an address or a DNS name, as the extension SubjectAlternativeName needs it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(text: str) -> x509.Name:
    """Return a distinguished name that has only a common name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, life: datetime.timedelta
) -> x509.CertificateBuilder:
    """Return a builder with the fields that all certificates have. `life` is the validity from now on."""
    # It is also valid one day earlier, for clients whose clock is slow.
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _signs_certificates() -> x509.KeyUsage:
    """Return the key usage of a root: it signs certificates and revocation lists only."""
    return x509.KeyUsage(
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
