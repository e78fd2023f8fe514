"""Parsing and checking the router's `auth_data`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bodies.chunks import stream
from worker.bodies import BodyLimits, ScannedBody, SpoolFolder, read_json
from worker.errors import BadSignature, InvalidJson, StartupError
from worker.platforms.vast.ingress.signature_check import SignatureCheck, read_envelope
from worker.simulators.vast_router.signer import Signer

SIGNER = Signer()
OWN = "https://203.0.113.7:41000"


def auth(url: str = OWN, **fields: Any) -> dict[str, Any]:
    given = {"cost": 100, "endpoint": "comfy", "reqnum": 3, "request_idx": 9, "url": url}
    return {**given, "signature": SIGNER.sign(url), **fields}


def body(**fields: Any) -> ScannedBody:
    return ScannedBody(fields, [], BodyLimits(1000))


def test_a_request_of_the_router_is_accepted() -> None:
    """A valid request is accepted with its numbers and payload; unknown fields are ignored."""
    envelope = read_envelope(body(auth_data=auth(extra=1), session_id=None, payload={"a": 1}))
    auth_data = SignatureCheck(SIGNER.public_pem, OWN).check(envelope.auth_data)
    assert (auth_data.request_idx, auth_data.reqnum) == (9, 3)
    assert envelope.payload is not None
    assert envelope.payload.value == {"a": 1}
    assert not envelope.in_session


def test_the_scheme_is_not_compared() -> None:
    """Host and port have to be the worker's, but not the scheme."""
    assert SignatureCheck(SIGNER.public_pem, "http://203.0.113.7:41000").check(
        read_envelope(body(auth_data=auth())).auth_data
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"signature": "AAAA"},
        {"signature": "no base64!"},
        {"signature": None},
        {"url": "https://203.0.113.7:41001"},
        {"url": 7},
        {"reqnum": "3"},
        {"request_idx": None},
        {"cost": ...},
        {"endpoint": ...},
    ],
)
def test_invalid_auth_data_is_rejected(wrong: dict[str, Any]) -> None:
    """Incomplete or invalid `auth_data` gets 401 before the SDK sees the request."""
    data = {name: value for name, value in (auth() | wrong).items() if value is not ...}
    with pytest.raises(BadSignature):
        SignatureCheck(SIGNER.public_pem, OWN).check(read_envelope(body(auth_data=data, payload={})).auth_data)


def test_a_signature_for_another_worker_is_rejected() -> None:
    """A signature for another worker is rejected, unless the operator allows it (T23)."""
    auth_data = read_envelope(body(auth_data=auth("https://198.51.100.1:3000"))).auth_data
    with pytest.raises(BadSignature, match="another worker"):
        SignatureCheck(SIGNER.public_pem, OWN).check(auth_data)
    assert SignatureCheck(SIGNER.public_pem, OWN, any_url=True).check(auth_data)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'"x"', b"\xff"])
async def test_a_body_that_is_no_object_is_refused(text: bytes, tmp_path: Path) -> None:
    """A body that is not an object is rejected with a reason."""
    async with SpoolFolder(tmp_path) as folder:
        with pytest.raises(InvalidJson):
            read_envelope(await read_json(stream([text]), folder, BodyLimits(1000)))


async def test_long_strings_of_the_payload_are_files_of_the_payload(tmp_path: Path) -> None:
    """Files and fingerprint of a payload do not depend on its place in the envelope."""
    payload = {"inputs": {"a.png": "A" * 100_000}}
    prints = []
    for envelope in ({"payload": payload, "auth_data": auth()}, {"auth_data": auth(), "payload": payload}, payload):
        async with SpoolFolder(tmp_path) as folder:
            read = await read_json(stream([json.dumps(envelope).encode()]), folder, BodyLimits(1_000_000))
            inner = read if envelope is payload else read_envelope(read).payload
            assert inner is not None
            assert [text.location for text in inner.spooled] == [("inputs", "a.png")]
            prints.append(inner.fingerprint())
    assert len(set(prints)) == 1


@pytest.mark.parametrize("pem", ["", "<html>maintenance</html>"])
def test_an_invalid_public_key_ends_the_start(pem: str) -> None:
    """An invalid public key ends the start instead of failing the first request."""
    with pytest.raises(StartupError, match="public key"):
        SignatureCheck(pem, OWN)
