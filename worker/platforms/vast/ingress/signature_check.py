"""The body of a request through Vast's client: the router's signed data, and the payload for the gateway."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from worker.bodies import ScannedBody
from worker.errors import BadSignature, InvalidJson, StartupError


@dataclass(frozen=True, slots=True)
class AuthData:
    """The fields of `auth_data`, with which the router authorizes a request to a worker. Only `url` is signed.

    `cost` is what the client told the router, in units, or 0 if that is no number.
    """

    url: str
    signature: str
    request_idx: int
    reqnum: int
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Envelope:
    """The body of a request through Vast's client. `payload` is None when it is not a JSON object.

    `auth_data` is None when `raw_auth_data` lacks a field that the SDK reads.
    """

    body: ScannedBody
    raw_auth_data: object
    auth_data: AuthData | None
    in_session: bool
    payload: ScannedBody | None


def read_envelope(body: ScannedBody) -> Envelope:
    """Return the parts of a body. Raises InvalidJson when the body is not a JSON object."""
    value = body.value
    if not isinstance(value, dict):
        raise InvalidJson(f"the body has to be a JSON object, not {type(value).__name__}")
    raw_auth_data = value.get("auth_data")
    return Envelope(
        body=body,
        raw_auth_data=raw_auth_data,
        auth_data=parse_auth_data(raw_auth_data),
        in_session=value.get("session_id") is not None,
        payload=body.sub_body("payload") if isinstance(value.get("payload"), dict) else None,
    )


def parse_auth_data(data: object) -> AuthData | None:
    """Return the fields of `auth_data`, or None when one that the SDK's worker needs is missing or of another type."""
    match data:
        case {
            "url": str(url),
            "signature": str(signature),
            "request_idx": int(request_idx),
            "reqnum": int(reqnum),
            "cost": cost,
            "endpoint": _,
        }:
            return AuthData(url, signature, request_idx, reqnum, _units(cost))
    return None


def _units(cost: object) -> float:
    """Return a cost as a number, or 0 for anything else. The SDK declares it as text, and Vast's docs as a number."""
    try:
        units = float(cost) if isinstance(cost, int | float | str) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return units if math.isfinite(units) else 0.0


def repeat_key(auth_data: AuthData, payload: ScannedBody) -> str:
    """Return a key that identifies a request that the router sends again: a hash of its payload and its numbers.

    A different payload with the same numbers is a different request. It is not rejected: the numbers are not signed, so
    that would protect nothing, and requests would be lost when the router starts counting again.
    """
    numbered = f"{payload.fingerprint()} {auth_data.request_idx} {auth_data.reqnum}"
    return hashlib.sha256(numbered.encode()).hexdigest()[:32]


class SignatureCheck:
    """Checks a signature as the SDK does, and also that it is for this worker, which the SDK does not check."""

    def __init__(self, public_pem: str, own_url: str, *, any_url: bool = False) -> None:
        """Read the public key from its PEM. Raises StartupError when it is not an RSA key.

        `own_url` is the worker's public URL. With `any_url`, requests that were signed for another URL are accepted.
        """
        try:
            key = load_pem_public_key(public_pem.encode())
        except ValueError as error:
            raise StartupError(f"Vast's public key cannot be read: {error}") from error
        if not isinstance(key, rsa.RSAPublicKey):
            raise StartupError("Vast's public key is not an RSA key")
        self._key = key
        self._own_netloc = urlsplit(own_url).netloc
        self._any_url = any_url

    def check(self, auth_data: AuthData | None) -> AuthData:
        """Return the data if Vast signed it for this worker. Raises BadSignature if not."""
        if auth_data is None:
            raise BadSignature("the request has no valid auth_data; send it through Vast's router, which adds it")
        # The scheme is not compared: it is not documented whether the router signs the URL exactly as reported.
        if not self._any_url and _netloc(auth_data.url) != self._own_netloc:
            raise BadSignature("the request was signed for another worker")
        message = f'{{\n    "url": {json.dumps(auth_data.url)}\n}}'.encode()  # as `json.dumps(..., indent=4)` writes it
        try:
            signature = base64.b64decode(auth_data.signature)
            self._key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise BadSignature("the signature is not by Vast") from error
        return auth_data


def _netloc(url: str) -> str | None:
    """Return the host and port of a URL, or None for an invalid one."""
    try:
        return urlsplit(url).netloc
    except ValueError:  # such as an invalid address in brackets
        return None
