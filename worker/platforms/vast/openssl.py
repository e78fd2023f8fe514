"""RSA signatures in OpenSSL, for the SDK, which checks each request's in Python: that takes most of its time.

The SDK's check stays as it is. Names and exceptions are those of PyCryptodome, as far as the SDK uses them.
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
    """PyCryptodome's SHA256 of a message."""

    def digest(self) -> bytes: ...


class RsaKeys:
    """In the place of `Crypto.PublicKey.RSA`."""

    @staticmethod
    def import_key(text: str) -> rsa.RSAPublicKey:
        """Raises ValueError."""
        key = load_pem_public_key(text.encode())
        if not isinstance(key, rsa.RSAPublicKey):
            raise ValueError("not an RSA key")
        return key


@dataclass(frozen=True, slots=True)
class Verifier:
    """PKCS#1 v1.5 signatures of one key."""

    key: rsa.RSAPublicKey

    def verify(self, message: Digest, signature: bytes) -> None:
        """Raises ValueError for any other signature than the key's of this message."""
        try:
            self.key.verify(signature, message.digest(), padding.PKCS1v15(), SHA256)
        except InvalidSignature as error:
            raise ValueError("Invalid signature") from error


class Pkcs1v15:
    """In the place of `Crypto.Signature.pkcs1_15`."""

    new = Verifier


def verify_with_openssl(backend: ModuleType) -> None:
    """Give the SDK's backend module these. One that imports other names checks as it always did."""
    if hasattr(backend, "RSA") and hasattr(backend, "pkcs1_15"):
        vars(backend).update(RSA=RsaKeys, pkcs1_15=Pkcs1v15)
