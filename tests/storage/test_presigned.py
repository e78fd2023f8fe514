"""Delivery to presigned URLs, one for each file, only to allowed hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.storage.buckets import WholeBucket, scripted
from worker.backoff import Backoff
from worker.errors import DeliveryFailed, DeliveryRefused, TargetNotAllowed
from worker.fetch.guard import Guard
from worker.job import Job, JobRequest, Output
from worker.storage.allowed import storage_policy
from worker.storage.presigned import PresignedPut, PutUrls


@asynccontextmanager
async def presigned_put(*urls: str, opened: str, order: tuple[int, ...] = (0,)) -> AsyncIterator[PresignedPut]:
    async with Guard(storage_policy(opened)) as guard:
        yield PresignedPut(guard, PutUrls(urls), order, backoff=Backoff(0.02, 0.1))


def job_with_file(path: Path) -> tuple[Job, Output, Path]:
    file = path / "0-a.png"
    file.write_bytes(b"picture" * 1000)
    return Job("job-1", JobRequest(prompt={})), Output(0, "9", "image", "a.png", mime="image/png", size=7000), file


async def test_a_file_arrives_at_its_presigned_url(bucket: WholeBucket, tmp_path: Path) -> None:
    """PresignedPut.put sends the file, and returns the URL without the signature."""
    job, output, path = job_with_file(tmp_path)
    params = {"Bucket": bucket.name, "Key": "mine/x.png"}
    url = bucket.client().generate_presigned_url("put_object", Params=params)  # type: ignore[attr-defined]
    async with presigned_put(url, opened=bucket.url.removeprefix("http://")) as put:
        assert await put.put(job, output, path) == f"{bucket.url}/{bucket.name}/mine/x.png"
    assert bucket.head("mine/x.png")["ContentLength"] == 7000
    assert bucket.head("mine/x.png")["ContentType"] == "image/png"


async def test_each_file_has_its_own_url(tmp_path: Path) -> None:
    """PresignedPut uses the URLs in the order of the outputs in the response."""
    job, _, path = job_with_file(tmp_path)
    async with scripted() as server:
        urls = [f"{server.url}/first?sig=1", f"{server.url}/second?sig=2"]
        async with presigned_put(*urls, opened=server.url.removeprefix("http://"), order=(5, 2)) as put:
            for index in (2, 5):
                await put.put(job, Output(index, "9", "image", "a.png", size=7000), path)
        assert server.requests == [("PUT", "/second?sig=2"), ("PUT", "/first?sig=1")]
        assert server.bodies[0] == path.read_bytes()


async def test_too_few_urls_are_a_client_error() -> None:
    """PresignedPut raises DeliveryRefused before anything is sent if there are too few URLs."""
    with pytest.raises(DeliveryRefused, match="2 files"):
        async with presigned_put("http://127.0.0.1:9/", opened="127.0.0.1:9", order=(0, 1)):
            pass


async def test_a_refusal_is_final_and_a_server_error_is_not(tmp_path: Path) -> None:
    """PresignedPut.put fails at once for 403, and retries 500."""
    job, output, path = job_with_file(tmp_path)
    async with scripted(statuses=[500, 200, 403]) as server:
        opened = server.url.removeprefix("http://")
        async with presigned_put(f"{server.url}/a?X-Amz-Signature=hidden", opened=opened) as put:
            await put.put(job, output, path)
            with pytest.raises(DeliveryRefused, match="403") as refused:
                await put.put(job, output, path)
        assert len(server.requests) == 3
        assert "hidden" not in str(refused.value.as_dict())


async def test_an_unreachable_host_fails_the_delivery(tmp_path: Path) -> None:
    """PresignedPut.put raises DeliveryFailed for a host that does not respond."""
    job, output, path = job_with_file(tmp_path)
    async with presigned_put("http://127.0.0.1:9/a?X-Amz-Signature=hidden", opened="127.0.0.1:9") as put:
        with pytest.raises(DeliveryFailed) as failed:
            await put.put(job, output, path)
    assert "hidden" not in str(failed.value.as_dict())


async def test_hosts_that_are_not_allowed_get_nothing(tmp_path: Path) -> None:
    """PresignedPut.put checks the host again before it sends the file."""
    job, output, path = job_with_file(tmp_path)
    async with scripted() as server, presigned_put(f"{server.url}/a", opened="s3.example.com") as put:
        with pytest.raises(TargetNotAllowed):
            await put.put(job, output, path)
        assert server.requests == []


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    """PresignedPut.put does not follow redirects."""
    job, output, path = job_with_file(tmp_path)
    async with scripted() as elsewhere, scripted(statuses=[307]) as server:
        server.headers = {"Location": elsewhere.url}
        async with presigned_put(f"{server.url}/a", opened=server.url.removeprefix("http://")) as put:
            with pytest.raises(DeliveryRefused):
                await put.put(job, output, path)
        assert elsewhere.requests == []
