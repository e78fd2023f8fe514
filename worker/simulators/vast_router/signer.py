"""The router's signature, with which a worker checks that a request is for it."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class Signer:
    """Signs URLs with a random RSA key."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def public_pem(self) -> str:
        """The response of `GET /pubkey/`."""
        pem = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return pem.decode()

    def sign(self, url: str) -> str:
        """Return the signature of a worker's URL: PKCS#1 v1.5 over SHA-256, in base64.

        Nothing but the URL is signed, according to the SDK (vastai 1.9.1).
        """
        message = json.dumps({"url": url}, indent=4, sort_keys=True)
        return base64.b64encode(self._key.sign(message.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
