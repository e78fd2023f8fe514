"""Connections to a client's bucket go to checked addresses only."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import EndpointConnectionError, HTTPClientError

from tests.storage.buckets import scripted
from worker.errors import TargetNotAllowed, UrlRefused
from worker.simulators.vast_router.authority import Authority
from worker.storage.allowed import storage_policy
from worker.storage.pinned_transport import PinnedSender

OPENED = "*.amazonaws.com, s3.example.com:9000"


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "0.1.2.3", "::ffff:169.254.169.254", "224.0.0.1"],
)
def test_an_opened_name_may_not_lead_to_special_addresses(address: str) -> None:
    """PinnedSender refuses an allowed name that resolves to a metadata address."""
    sender = PinnedSender(storage_policy(OPENED), lambda host, port: [address])
    with pytest.raises(UrlRefused):
        sender(AWSRequest("PUT", "https://b.s3.amazonaws.com/key").prepare())


def test_all_addresses_of_a_name_are_checked() -> None:
    """PinnedSender refuses a name if any of its addresses is not allowed."""
    sender = PinnedSender(storage_policy(OPENED), lambda host, port: ["52.216.1.1", "169.254.169.254"])
    with pytest.raises(UrlRefused):
        sender(AWSRequest("PUT", "https://b.s3.amazonaws.com/key").prepare())


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/key",
        "https://amazonaws.com/key",
        "https://s3.amazonaws.com.evil.example/key",
        "https://s3.example.com/key",
        "https://b.s3.amazonaws.com:9000/key",
        "https://b.s3.amazonaws.com@evil.example.com/key",
        "ftp://b.s3.amazonaws.com/key",
    ],
)
def test_every_request_is_checked_by_its_url(url: str) -> None:
    """PinnedSender refuses a bad URL without resolving its name."""
    sender = PinnedSender(storage_policy(OPENED), lambda host, port: pytest.fail("looked up"))
    with pytest.raises((TargetNotAllowed, UrlRefused)):
        sender(AWSRequest("PUT", url).prepare())


async def test_a_name_is_resolved_once() -> None:
    """PinnedSender resolves a name once and keeps the address."""
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    async with scripted() as server:
        port = server.url.rsplit(":", 1)[1]
        sender = PinnedSender(storage_policy(f"s3.test:{port}"), lambda host, port: answers.pop(0))
        for _ in range(2):
            request = AWSRequest("GET", f"http://s3.test:{port}/key?a=b").prepare()
            response = await asyncio.to_thread(sender, request)
            assert response.status_code == 200
        assert server.requests == [("GET", "/key?a=b")] * 2
        assert server.request_headers[0]["Host"] == f"s3.test:{port}"
    assert len(answers) == 1


def test_a_name_without_an_address_is_retried() -> None:
    """PinnedSender raises an error that botocore retries if a name has no address."""

    def nothing(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(EndpointConnectionError):
        PinnedSender(storage_policy(OPENED), nothing)(AWSRequest("PUT", "https://b.s3.amazonaws.com/key").prepare())


@pytest.mark.parametrize(("called", "trusted"), [("bucket.example", True), ("127.0.0.1", False)])
async def test_tls_is_checked_against_the_name_at_the_pinned_address(
    tmp_path: Path, called: str, trusted: bool
) -> None:
    """PinnedSender connects to the checked address, and verifies the certificate against the name."""
    authority, roots = Authority(), tmp_path / "roots.pem"
    roots.write_bytes(authority.root_pem)
    async with scripted(tls=authority.server_context(called)) as server:
        port = server.url.rsplit(":", 1)[1]
        host = f"bucket.example:{port}"
        sender = PinnedSender(storage_policy(host), lambda *_: ["127.0.0.1"], roots=str(roots))
        request = AWSRequest("PUT", f"https://{host}/key", data=b"picture").prepare()
        if not trusted:
            with pytest.raises(HTTPClientError, match="doesn't match"):
                await asyncio.to_thread(sender, request)
            return
        answer = await asyncio.to_thread(sender, request)
        assert (answer.status_code, server.request_headers[0]["Host"], server.bodies) == (200, host, [b"picture"])
        with pytest.raises(HTTPClientError, match="CERTIFICATE_VERIFY_FAILED"):
            await asyncio.to_thread(PinnedSender(storage_policy(host), lambda *_: ["127.0.0.1"]), request)
