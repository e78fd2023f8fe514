"""What a request's bucket is called and where its bytes go can't be two things."""

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
    """Whoever runs the DNS of a trusted name must not get at a cloud's credentials."""
    sender = PinnedSender(storage_policy(OPENED), lambda host, port: [address])
    with pytest.raises(UrlRefused):
        sender(AWSRequest("PUT", "https://b.s3.amazonaws.com/key").prepare())


def test_one_good_address_among_bad_ones_proves_nothing() -> None:
    """All answers of the DNS are checked."""
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
    """Also where a library made the URL of what a client wrote: nothing is looked up."""
    sender = PinnedSender(storage_policy(OPENED), lambda host, port: pytest.fail("looked up"))
    with pytest.raises((TargetNotAllowed, UrlRefused)):
        sender(AWSRequest("PUT", url).prepare())


async def test_a_name_is_looked_up_once() -> None:
    """A second answer of the DNS, which could be another one, is not asked for."""
    answers = [["127.0.0.1"], ["127.0.0.2"]]
    async with scripted() as server:
        port = server.url.rsplit(":", 1)[1]
        sender = PinnedSender(storage_policy(f"s3.test:{port}"), lambda host, port: answers.pop(0))
        for _ in range(2):
            request = AWSRequest("GET", f"http://s3.test:{port}/key?a=b").prepare()
            response = await asyncio.to_thread(sender, request)
            assert response.status_code == 200
        assert server.asked == [("GET", "/key?a=b")] * 2
        assert server.seen[0]["Host"] == f"s3.test:{port}"
    assert len(answers) == 1


def test_a_name_without_an_address_can_be_tried_again() -> None:
    """It is told in a way that botocore retries."""

    def nothing(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    with pytest.raises(EndpointConnectionError):
        PinnedSender(storage_policy(OPENED), nothing)(AWSRequest("PUT", "https://b.s3.amazonaws.com/key").prepare())


@pytest.mark.parametrize(("called", "trusted"), [("bucket.example", True), ("127.0.0.1", False)])
async def test_tls_is_checked_against_the_name_at_the_pinned_address(
    tmp_path: Path, called: str, trusted: bool
) -> None:
    """The connection goes to the address that was checked, and the server has to prove that it is the one named."""
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
        assert (answer.status_code, server.seen[0]["Host"], server.bodies) == (200, host, [b"picture"])
        with pytest.raises(HTTPClientError, match="CERTIFICATE_VERIFY_FAILED"):
            await asyncio.to_thread(PinnedSender(storage_policy(host), lambda *_: ["127.0.0.1"]), request)
