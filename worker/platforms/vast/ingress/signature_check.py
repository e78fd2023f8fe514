"""What a client of Vast's sends: the router's auth_data, and the payload that is meant for the gateway."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
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
    """`auth_data`: the router's word that this worker may be asked. Only `url` is signed; the rest can be made up."""

    url: str
    signature: str
    request_idx: int
    reqnum: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """The body of a request through Vast's client. `payload` is None where it is no object."""

    body: ScannedBody
    raw_auth_data: object
    auth_data: AuthData | None
    in_session: bool
    payload: ScannedBody | None


def read_envelope(body: ScannedBody) -> Envelope:
    """Raises InvalidJson for anything but an object."""
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
    """Return what `auth_data` grants; None unless it has all that the SDK's worker reads. On less that would fail."""
    match data:
        case {
            "url": str(url),
            "signature": str(signature),
            "request_idx": int(request_idx),
            "reqnum": int(reqnum),
            "cost": _,
            "endpoint": _,
        }:
            return AuthData(url, signature, request_idx, reqnum)
    return None


def repeat_key(auth_data: AuthData, payload: ScannedBody) -> str:
    """The same for the same payload under the same numbers of the router's.

    Another payload under them is another request: the numbers are not signed, so to refuse it would protect nothing,
    and a router that began to count anew would lose requests.
    """
    numbered = f"{payload.fingerprint()} {auth_data.request_idx} {auth_data.reqnum}"
    return hashlib.sha256(numbered.encode()).hexdigest()[:32]


class SignatureCheck:
    """Checks a auth_data as the SDK does, and that it was given for this worker, which the SDK doesn't ask."""

    def __init__(self, public_pem: str, own_url: str, *, any_url: bool = False) -> None:
        """Raises StartupError where the PEM is no RSA key."""
        try:
            key = load_pem_public_key(public_pem.encode())
        except ValueError as error:
            raise StartupError(f"Vast's public key can't be read: {error}") from error
        if not isinstance(key, rsa.RSAPublicKey):
            raise StartupError("Vast's public key is not an RSA key")
        self._key = key
        self._own = urlsplit(own_url).netloc
        self._any_url = any_url

    def check(self, auth_data: AuthData | None) -> AuthData:
        """Raises BadSignature."""
        if auth_data is None:
            raise BadSignature("this worker is reached through Vast's router, which adds auth_data to the request")
        # The scheme is left out: whether the router signs the URL exactly as reported is not documented.
        if not self._any_url and _netloc(auth_data.url) != self._own:
            raise BadSignature("the request was signed for another worker")
        message = f'{{\n    "url": {json.dumps(auth_data.url)}\n}}'.encode()  # as `json.dumps(..., indent=4)` writes it
        try:
            signature = base64.b64decode(auth_data.signature)
            self._key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, binascii.Error, ValueError) as error:
            raise BadSignature("the signature is not Vast's") from error
        return auth_data


def _netloc(url: str) -> str | None:
    try:
        return urlsplit(url).netloc
    except ValueError:  # such as an address in brackets that is none
        return None
