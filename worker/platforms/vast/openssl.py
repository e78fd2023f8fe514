"""Verifies RSA signatures in OpenSSL for the SDK, which otherwise spends most of its time verifying them in Python.

The SDK's own check stays as it is. The classes have those names and exceptions of PyCryptodome that the SDK uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_pem_public_key

SHA256 = utils.Prehashed(hashes.SHA256())


class Digest(Protocol):
    """A SHA-256 hash object of PyCryptodome."""

    def digest(self) -> bytes:
        """Return the 32 bytes of the hash."""


class RsaKeys:
    """Replaces `Crypto.PublicKey.RSA`."""

    @staticmethod
    def import_key(text: str) -> rsa.RSAPublicKey:
        """Return the RSA key in a PEM. Raises ValueError for anything else."""
        key = load_pem_public_key(text.encode())
        if not isinstance(key, rsa.RSAPublicKey):
            raise ValueError("not an RSA key")
        return key


@dataclass(frozen=True, slots=True)
class Verifier:
    """Verifies PKCS#1 v1.5 signatures by one key."""

    key: rsa.RSAPublicKey

    def verify(self, message: Digest, signature: bytes) -> None:
        """Raise ValueError unless the signature is the key's signature of this message."""
        try:
            self.key.verify(signature, message.digest(), padding.PKCS1v15(), SHA256)
        except InvalidSignature as error:
            raise ValueError("Invalid signature") from error


class Pkcs1v15:
    """Replaces `Crypto.Signature.pkcs1_15`."""

    new = Verifier


def verify_with_openssl(backend: ModuleType) -> None:
    """Make the SDK's backend module verify signatures with OpenSSL.

    A module without the names `RSA` and `pkcs1_15` is not changed, and keeps its own check.
    """
    if hasattr(backend, "RSA") and hasattr(backend, "pkcs1_15"):
        vars(backend).update(RSA=RsaKeys, pkcs1_15=Pkcs1v15)
