"""Uploads to buckets, their errors, and the handling of credentials."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr
from yarl import URL

from tests.storage.buckets import KEY_ID, SECRET, WholeBucket, scripted
from worker.errors import DeliveryFailed, DeliveryRefused, StartupError, TargetNotAllowed, WorkerError
from worker.fetch.policy import Policy
from worker.job import Job, JobRequest, Output
from worker.storage.allowed import storage_policy
from worker.storage.bucket import PART, Buckets, S3Target, UrlOptions
from worker.storage.keys import KeyTemplate

TEMPLATE = KeyTemplate("{prefix}/{date}/{id}/{filename}")


@pytest.fixture
def buckets() -> Iterator[Buckets]:
    opened_buckets = Buckets(TEMPLATE, UrlOptions(600))
    yield opened_buckets
    opened_buckets.close()


def opened(url: str) -> Policy:
    """Return a policy that allows only this server."""
    return storage_policy(url.removeprefix("http://"))


def job_with_file(path: Path, size: int = 1000, name: str = "a.png") -> tuple[Job, Output, Path]:
    file = path / f"0-{name}"
    file.write_bytes(bytes(range(256)) * (size // 256) + bytes(size % 256))
    output = Output(0, "9", "image", name, mime="image/png", size=size)
    return Job("job-1", JobRequest(prompt={}), outputs=(output,), created_at=0.0), output, file


async def test_the_presigned_url_opens_the_file(buckets: Buckets, bucket: WholeBucket, tmp_path: Path) -> None:
    """The presigned URL returns the file with its type, and contains an expiry."""
    job, output, path = job_with_file(tmp_path)
    url = await buckets.operator_bucket(bucket.target).put(job, output, path)
    assert "X-Amz-Expires=600" in url
    assert SECRET not in url
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.headers["Content-Type"] == "image/png"
        assert await response.read() == path.read_bytes()
    assert "1970-01-01/job-1/a.png" in bucket.names()


@pytest.mark.parametrize(("mime", "disposition"), [("image/svg+xml", "attachment"), ("image/png", None)])
async def test_active_content_in_a_bucket_is_an_attachment(
    buckets: Buckets, bucket: WholeBucket, tmp_path: Path, mime: str, disposition: str | None
) -> None:
    """The object of an SVG has the disposition `attachment`."""
    job, output, path = job_with_file(tmp_path)
    url = await buckets.operator_bucket(bucket.target).put(job, replace(output, mime=mime), path)
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert (response.headers["Content-Type"], response.headers.get("Content-Disposition")) == (mime, disposition)


@pytest.mark.parametrize("clients", [False, True])
async def test_a_name_in_any_script_is_uploaded_and_opens(
    buckets: Buckets, bucket: WholeBucket, tmp_path: Path, clients: bool
) -> None:
    """The key keeps a name in any script, and its presigned URL opens it, in both kinds of buckets."""
    job, output, path = job_with_file(tmp_path, name="日本語 テスト_🎉_00001_.png")
    place = (
        buckets.client_bucket(bucket.target, opened(bucket.url)) if clients else buckets.operator_bucket(bucket.target)
    )
    url = await place.put(job, output, path)
    async with aiohttp.ClientSession() as http, http.get(URL(url, encoded=True)) as response:
        assert await response.read() == path.read_bytes()
    assert "1970-01-01/job-1/日本語_テスト_🎉_00001_.png" in bucket.names()


@pytest.mark.parametrize("ending", ["/", "/pictures", "/pictures/"])
async def test_a_bucket_in_the_endpoints_path_is_not_doubled(
    buckets: Buckets, bucket: WholeBucket, tmp_path: Path, ending: str
) -> None:
    """`https://host/bucket` as endpoint is the same as `https://host` with that bucket."""
    job, output, path = job_with_file(tmp_path, name=f"ending{len(ending)}.png")
    url = await buckets.operator_bucket(replace(bucket.target, endpoint_url=bucket.url + ending)).put(job, output, path)
    assert url.startswith(f"{bucket.url}/pictures/1970-01-01/")
    assert f"1970-01-01/job-1/{output.filename}" in bucket.names()


async def test_a_large_file_is_uploaded_in_parts(buckets: Buckets, bucket: WholeBucket, tmp_path: Path) -> None:
    """A file above the threshold is sent as a multipart upload."""
    job, output, path = job_with_file(tmp_path, 3 * PART, "large.bin")
    url = await buckets.operator_bucket(bucket.target).put(job, output, path)
    assert bucket.head("1970-01-01/job-1/large.bin")["ETag"].endswith('-3"')
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        digest = hashlib.sha256(await response.read()).digest()
    assert digest == hashlib.sha256(path.read_bytes()).digest()


async def test_a_public_bucket_needs_no_signature(bucket: WholeBucket, tmp_path: Path) -> None:
    """With a public URL, the URL of a file is that and the escaped key."""
    job, output, path = job_with_file(tmp_path, name="é b.png")
    buckets = Buckets(TEMPLATE, UrlOptions(600, "https://cdn.example.com/pictures/"))
    url = await buckets.operator_bucket(bucket.target).put(job, output, path)
    buckets.close()
    assert url == "https://cdn.example.com/pictures/1970-01-01/job-1/%C3%A9_b.png"


async def test_a_clients_bucket_never_gets_the_operators_public_url(bucket: WholeBucket, tmp_path: Path) -> None:
    """The public URL is not used for a client's bucket."""
    job, output, path = job_with_file(tmp_path, name="own.png")
    buckets = Buckets(TEMPLATE, UrlOptions(600, "https://cdn.example.com/"))
    url = await buckets.client_bucket(bucket.target, opened(bucket.url)).put(job, output, path)
    buckets.close()
    assert url.startswith(bucket.url)


async def test_server_errors_are_retried(buckets: Buckets, tmp_path: Path) -> None:
    """put succeeds after two responses with 500."""
    job, output, path = job_with_file(tmp_path)
    async with scripted(statuses=[500, 503]) as server:
        await buckets.operator_bucket(server.target).put(job, output, path)
        assert [method for method, _ in server.requests] == ["PUT"] * 3
        assert server.bodies[-1] == path.read_bytes()


@pytest.mark.parametrize("own", [False, True], ids=["operator", "client"])
async def test_lasting_server_errors_fail_the_delivery(buckets: Buckets, tmp_path: Path, own: bool) -> None:
    """put raises DeliveryFailed after several responses with 500."""
    job, output, path = job_with_file(tmp_path)
    async with scripted(statuses=[500] * 9) as server:
        place = (
            buckets.client_bucket(server.target, opened(server.url)) if own else buckets.operator_bucket(server.target)
        )
        with pytest.raises(DeliveryFailed, match="500"):
            await place.put(job, output, path)


@pytest.mark.parametrize("mebibytes", [0, 20], ids=["one request", "parts"])
async def test_a_page_in_place_of_a_response_is_not_a_delivery(
    buckets: Buckets, tmp_path: Path, mebibytes: int
) -> None:
    """put raises DeliveryFailed if a proxy returns a page with status 200."""
    job, output, path = job_with_file(tmp_path)
    if mebibytes:
        path.write_bytes(bytes(mebibytes * 1024 * 1024))
    async with scripted(page=True) as server:
        with pytest.raises(DeliveryFailed):
            await buckets.operator_bucket(server.target).put(job, output, path)


async def test_wrong_credentials(buckets: Buckets, tmp_path: Path) -> None:
    """Wrong credentials of a client raise DeliveryRefused, and those of the operator DeliveryFailed."""
    job, output, path = job_with_file(tmp_path)
    async with scripted(statuses=[403, 403]) as server:
        with pytest.raises(DeliveryRefused, match="403 InvalidAccessKeyId") as refused:
            await buckets.client_bucket(server.target, opened(server.url)).put(job, output, path)
        with pytest.raises(DeliveryFailed, match="403") as failed:
            await buckets.operator_bucket(server.target).put(job, output, path)
        assert len(server.requests) == 2
    for error in (refused.value, failed.value):
        assert_nothing_secret(error, path)


def assert_nothing_secret(error: WorkerError, path: Path) -> None:
    for text in (str(error), repr(error), str(error.as_dict())):
        assert SECRET not in text
        assert KEY_ID not in text
        assert str(path) not in text


async def test_an_unreachable_bucket_fails_the_delivery(buckets: Buckets, tmp_path: Path) -> None:
    """put raises DeliveryFailed if no server listens."""
    job, output, path = job_with_file(tmp_path)
    nowhere = S3Target("pictures", KEY_ID, SecretStr(SECRET), endpoint_url="http://127.0.0.1:9")
    for place in (buckets.operator_bucket(nowhere), buckets.client_bucket(nowhere, opened("http://127.0.0.1:9"))):
        with pytest.raises(DeliveryFailed, match="cannot be reached") as failed:
            await place.put(job, output, path)
        assert_nothing_secret(failed.value, path)


async def test_a_cancelled_upload_stops(buckets: Buckets, tmp_path: Path) -> None:
    """A cancelled put returns at once, and its threads end."""
    job, output, path = job_with_file(tmp_path)
    async with scripted(hangs=True) as server:
        uploading = asyncio.create_task(buckets.operator_bucket(server.target).put(job, output, path))
        async with asyncio.timeout(60):
            while not server.requests:
                await asyncio.sleep(0.01)
        uploading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await uploading


async def test_a_clients_bucket_must_be_at_an_allowed_host(
    buckets: Buckets, bucket: WholeBucket, tmp_path: Path
) -> None:
    """put sends nothing to another host or port, or to a special address of an allowed name."""
    job, output, path = job_with_file(tmp_path, name="never.png")
    other = storage_policy("s3.example.com, 127.0.0.1:1")
    with pytest.raises(TargetNotAllowed):
        await buckets.client_bucket(bucket.target, other).put(job, output, path)
    assert "1970-01-01/job-1/never.png" not in bucket.names()


async def test_the_pinned_sender_signs_for_the_name(buckets: Buckets, tmp_path: Path) -> None:
    """Requests to the checked address have the host name in their signature."""
    job, output, path = job_with_file(tmp_path)
    async with scripted() as server:
        port = server.url.rsplit(":", 1)[1]
        target = S3Target("pictures", KEY_ID, SecretStr(SECRET), endpoint_url=f"http://localhost:{port}")
        await buckets.client_bucket(target, storage_policy(f"localhost:{port}")).put(job, output, path)
        assert server.request_headers[0]["Host"] == f"localhost:{port}"
        assert server.requests[0] == ("PUT", "/pictures/1970-01-01/job-1/a.png")
        assert server.bodies[0] == path.read_bytes()


async def test_redirects_are_not_followed(buckets: Buckets, tmp_path: Path) -> None:
    """put sends nothing to the target of a redirect."""
    job, output, path = job_with_file(tmp_path)
    async with scripted() as elsewhere, scripted(statuses=[307] * 9) as server:
        server.headers = {"Location": elsewhere.url}
        with pytest.raises(WorkerError):
            await buckets.client_bucket(server.target, opened(server.url)).put(job, output, path)
        assert elsewhere.requests == []


async def test_a_client_without_credentials_gets_none(buckets: Buckets, tmp_path: Path) -> None:
    """A client's bucket without credentials is not opened with those of the machine."""
    job, output, path = job_with_file(tmp_path)
    async with scripted() as server:
        target = S3Target("pictures", endpoint_url=server.url)
        with pytest.raises(DeliveryRefused):
            await buckets.client_bucket(target, opened(server.url)).put(job, output, path)
        assert server.requests == []


def test_secrets_are_in_no_repr() -> None:
    """The `repr` of requests and targets contains no credentials."""
    target = S3Target("b", KEY_ID, SecretStr(SECRET), SecretStr("token"), prefix="p")
    for thing in (target, JobRequest(prompt={}, target=target)):
        assert SECRET not in repr(thing)
        assert KEY_ID not in repr(thing)


def test_a_presigned_url_is_valid_for_at_most_a_week() -> None:
    """UrlOptions raises StartupError for more than a week."""
    with pytest.raises(StartupError, match="WORKER_S3_URL_LIFE"):
        UrlOptions(8 * 24 * 3600)
