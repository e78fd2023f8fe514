"""The signature check in OpenSSL has the results of the SDK's own."""

from __future__ import annotations

import base64
import json
from types import ModuleType
from typing import Any

import pytest
from Crypto.Hash import SHA256
from Crypto.PublicKey import RSA
from Crypto.Signature import pkcs1_15
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from vastai.serverless.server.lib import backend

from worker.platforms.vast.openssl import Pkcs1v15, RsaKeys, verify_with_openssl
from worker.simulators.vast_router.signer import Signer

SIGNER, OTHER = Signer(), Signer()
URL = "https://203.0.113.7:41000"
GOOD = base64.b64decode(SIGNER.sign(URL))


def accepts(keys: Any, signatures: Any, signature: bytes, url: str) -> bool:
    """Return whether a signature is accepted, checked as the SDK does."""
    message = json.dumps({"url": url}, indent=4, sort_keys=True)
    try:
        signatures.new(keys.import_key(SIGNER.public_pem)).verify(SHA256.new(message.encode()), signature)
    except (ValueError, TypeError):
        return False
    return True


@pytest.mark.parametrize(
    ("signature", "url", "good"),
    [
        (GOOD, URL, True),
        (GOOD, "https://203.0.113.8:41000", False),
        (base64.b64decode(OTHER.sign(URL)), URL, False),
        (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), URL, False),
        (GOOD[:-1], URL, False),
        (b"\0" + GOOD, URL, False),
        (b"\xff" * len(GOOD), URL, False),
        (bytes(len(GOOD)), URL, False),
        (b"", URL, False),
    ],
    ids=["good", "another url", "another key", "a bit", "short", "long", "too large", "zero", "empty"],
)
def test_both_decide_the_same(signature: bytes, url: str, good: bool) -> None:
    """Both checks accept the same signatures, and a rejection is an exception that the SDK catches."""
    assert accepts(RSA, pkcs1_15, signature, url) is good
    assert accepts(RsaKeys, Pkcs1v15, signature, url) is good


def test_what_is_no_rsa_key_is_refused() -> None:
    """A key that is not RSA raises ValueError, as the SDK expects."""
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    for text in (pem, "", "no key"):
        with pytest.raises(ValueError, match=r"RSA|PEM"):
            RsaKeys.import_key(text)


def test_the_sdk_has_the_names_that_are_replaced() -> None:
    """The SDK's backend has the replaced names; other modules are not changed."""
    assert {"RSA", "pkcs1_15"} <= vars(backend).keys()
    other = ModuleType("other")
    verify_with_openssl(other)
    assert "RSA" not in vars(other)
