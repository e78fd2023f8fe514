"""Files reach a bucket whole, or the error says whether another try is worth it; keys stay where they belong."""

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
    found = Buckets(TEMPLATE, UrlOptions(600))
    yield found
    found.close()


def opened(url: str) -> Policy:
    """What the operator says to open just this server."""
    return storage_policy(url.removeprefix("http://"))


def made(path: Path, size: int = 1000, name: str = "a.png") -> tuple[Job, Output, Path]:
    file = path / f"0-{name}"
    file.write_bytes(bytes(range(256)) * (size // 256) + bytes(size % 256))
    output = Output(0, "9", "image", name, mime="image/png", size=size)
    return Job("job-1", JobRequest(prompt={}), outputs=(output,), created_at=0.0), output, file


async def test_the_presigned_url_opens_the_very_file(buckets: Buckets, bucket: WholeBucket, tmp_path: Path) -> None:
    """What is downloaded from the URL is the file, with its type; the URL carries an end of its life."""
    job, output, path = made(tmp_path)
    url = await buckets.operator_bucket(bucket.target).put(job, output, path)
    assert "X-Amz-Expires=600" in url
    assert SECRET not in url
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        assert answer.headers["Content-Type"] == "image/png"
        assert await answer.read() == path.read_bytes()
    assert "1970-01-01/job-1/a.png" in bucket.names()


@pytest.mark.parametrize(("mime", "disposition"), [("image/svg+xml", "attachment"), ("image/png", None)])
async def test_what_a_browser_runs_is_saved_from_a_bucket_too(
    buckets: Buckets, bucket: WholeBucket, tmp_path: Path, mime: str, disposition: str | None
) -> None:
    """The object of an SVG says that it is an attachment: the bucket's host may have pages of its own."""
    job, output, path = made(tmp_path)
    url = await buckets.operator_bucket(bucket.target).put(job, replace(output, mime=mime), path)
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        assert (answer.headers["Content-Type"], answer.headers.get("Content-Disposition")) == (mime, disposition)


@pytest.mark.parametrize("clients", [False, True])
async def test_a_name_in_any_script_is_uploaded_and_opens(
    buckets: Buckets, bucket: WholeBucket, tmp_path: Path, clients: bool
) -> None:
    """The key has the name as it is, and its presigned URL opens, in the operator's bucket and in a client's."""
    job, output, path = made(tmp_path, name="日本語 テスト_🎉_00001_.png")
    place = (
        buckets.client_bucket(bucket.target, opened(bucket.url)) if clients else buckets.operator_bucket(bucket.target)
    )
    url = await place.put(job, output, path)
    async with aiohttp.ClientSession() as http, http.get(URL(url, encoded=True)) as answer:
        assert await answer.read() == path.read_bytes()
    assert "1970-01-01/job-1/日本語_テスト_🎉_00001_.png" in bucket.names()


@pytest.mark.parametrize("ending", ["/", "/pictures", "/pictures/"])
async def test_a_bucket_in_the_endpoints_path_is_not_doubled(
    buckets: Buckets, bucket: WholeBucket, tmp_path: Path, ending: str
) -> None:
    """`https://host/bucket` is the same place as `https://host` with that bucket."""
    job, output, path = made(tmp_path, name=f"ending{len(ending)}.png")
    url = await buckets.operator_bucket(replace(bucket.target, endpoint_url=bucket.url + ending)).put(job, output, path)
    assert url.startswith(f"{bucket.url}/pictures/1970-01-01/")
    assert f"1970-01-01/job-1/{output.filename}" in bucket.names()


async def test_a_large_file_goes_in_parts(buckets: Buckets, bucket: WholeBucket, tmp_path: Path) -> None:
    """A file above the threshold is a multipart upload, and arrives whole."""
    job, output, path = made(tmp_path, 3 * PART, "large.bin")
    url = await buckets.operator_bucket(bucket.target).put(job, output, path)
    assert bucket.head("1970-01-01/job-1/large.bin")["ETag"].endswith('-3"')
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        digest = hashlib.sha256(await answer.read()).digest()
    assert digest == hashlib.sha256(path.read_bytes()).digest()


async def test_a_public_bucket_needs_no_signature(bucket: WholeBucket, tmp_path: Path) -> None:
    """With a public base the URL is that and the key, escaped."""
    job, output, path = made(tmp_path, name="é b.png")
    buckets = Buckets(TEMPLATE, UrlOptions(600, "https://cdn.example.com/pictures/"))
    url = await buckets.operator_bucket(bucket.target).put(job, output, path)
    buckets.close()
    assert url == "https://cdn.example.com/pictures/1970-01-01/job-1/%C3%A9_b.png"


async def test_a_clients_bucket_never_gets_the_operators_public_url(bucket: WholeBucket, tmp_path: Path) -> None:
    """The public base is the operator's bucket's."""
    job, output, path = made(tmp_path, name="own.png")
    buckets = Buckets(TEMPLATE, UrlOptions(600, "https://cdn.example.com/"))
    url = await buckets.client_bucket(bucket.target, opened(bucket.url)).put(job, output, path)
    buckets.close()
    assert url.startswith(bucket.url)


async def test_server_errors_are_tried_again(buckets: Buckets, tmp_path: Path) -> None:
    """Two 500s are no failed delivery."""
    job, output, path = made(tmp_path)
    async with scripted(statuses=[500, 503]) as server:
        await buckets.operator_bucket(server.target).put(job, output, path)
        assert [method for method, _ in server.asked] == ["PUT"] * 3
        assert server.bodies[-1] == path.read_bytes()


@pytest.mark.parametrize("own", [False, True], ids=["operator", "client"])
async def test_lasting_server_errors_fail_the_delivery(buckets: Buckets, tmp_path: Path, own: bool) -> None:
    """After a few tries it is a delivery that may be repeated."""
    job, output, path = made(tmp_path)
    async with scripted(statuses=[500] * 9) as server:
        place = (
            buckets.client_bucket(server.target, opened(server.url)) if own else buckets.operator_bucket(server.target)
        )
        with pytest.raises(DeliveryFailed, match="500"):
            await place.put(job, output, path)


@pytest.mark.parametrize("mebibytes", [0, 20], ids=["one request", "parts"])
async def test_a_page_in_place_of_the_buckets_answer_is_no_delivery(
    buckets: Buckets, tmp_path: Path, mebibytes: int
) -> None:
    """A proxy that answers 200 with a page has stored nothing; boto3 by itself would call that a success."""
    job, output, path = made(tmp_path)
    if mebibytes:
        path.write_bytes(bytes(mebibytes * 1024 * 1024))
    async with scripted(page=True) as server:
        with pytest.raises(DeliveryFailed):
            await buckets.operator_bucket(server.target).put(job, output, path)


async def test_wrong_keys_are_the_fault_of_who_gave_them(buckets: Buckets, tmp_path: Path) -> None:
    """A client's wrong keys are a client's error; the operator's are this worker's."""
    job, output, path = made(tmp_path)
    async with scripted(statuses=[403, 403]) as server:
        with pytest.raises(DeliveryRefused, match="403 InvalidAccessKeyId") as refused:
            await buckets.client_bucket(server.target, opened(server.url)).put(job, output, path)
        with pytest.raises(DeliveryFailed, match="403") as failed:
            await buckets.operator_bucket(server.target).put(job, output, path)
        assert len(server.asked) == 2
    for error in (refused.value, failed.value):
        assert_nothing_secret(error, path)


def assert_nothing_secret(error: WorkerError, path: Path) -> None:
    for text in (str(error), repr(error), str(error.as_dict())):
        assert SECRET not in text
        assert KEY_ID not in text
        assert str(path) not in text


async def test_an_unreachable_bucket_fails_the_delivery(buckets: Buckets, tmp_path: Path) -> None:
    """Nobody listens there."""
    job, output, path = made(tmp_path)
    nowhere = S3Target("pictures", KEY_ID, SecretStr(SECRET), endpoint_url="http://127.0.0.1:9")
    for place in (buckets.operator_bucket(nowhere), buckets.client_bucket(nowhere, opened("http://127.0.0.1:9"))):
        with pytest.raises(DeliveryFailed, match="cannot be reached") as failed:
            await place.put(job, output, path)
        assert_nothing_secret(failed.value, path)


async def test_a_cancelled_upload_stops(buckets: Buckets, tmp_path: Path) -> None:
    """Who gives up a job does not wait for a bucket that hangs, and its threads end."""
    job, output, path = made(tmp_path)
    async with scripted(hangs=True) as server:
        uploading = asyncio.create_task(buckets.operator_bucket(server.target).put(job, output, path))
        async with asyncio.timeout(30):
            while not server.asked:
                await asyncio.sleep(0.01)
        uploading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await uploading


async def test_a_clients_bucket_is_reached_at_opened_hosts_only(
    buckets: Buckets, bucket: WholeBucket, tmp_path: Path
) -> None:
    """Another host, another port, or an address behind an opened name: nothing is sent."""
    job, output, path = made(tmp_path, name="never.png")
    other = storage_policy("s3.example.com, 127.0.0.1:1")
    with pytest.raises(TargetNotAllowed):
        await buckets.client_bucket(bucket.target, other).put(job, output, path)
    assert "1970-01-01/job-1/never.png" not in bucket.names()


async def test_the_pinned_sender_signs_for_the_name(buckets: Buckets, tmp_path: Path) -> None:
    """The connection goes to a checked address, the Host header and so the signature to the name."""
    job, output, path = made(tmp_path)
    async with scripted() as server:
        port = server.url.rsplit(":", 1)[1]
        target = S3Target("pictures", KEY_ID, SecretStr(SECRET), endpoint_url=f"http://localhost:{port}")
        await buckets.client_bucket(target, storage_policy(f"localhost:{port}")).put(job, output, path)
        assert server.seen[0]["Host"] == f"localhost:{port}"
        assert server.asked[0] == ("PUT", "/pictures/1970-01-01/job-1/a.png")
        assert server.bodies[0] == path.read_bytes()


async def test_redirects_are_not_followed(buckets: Buckets, tmp_path: Path) -> None:
    """A bucket that points elsewhere gets nothing sent there."""
    job, output, path = made(tmp_path)
    async with scripted() as elsewhere, scripted(statuses=[307] * 9) as server:
        server.headers = {"Location": elsewhere.url}
        with pytest.raises(WorkerError):
            await buckets.client_bucket(server.target, opened(server.url)).put(job, output, path)
        assert elsewhere.asked == []


async def test_a_client_without_keys_gets_none(buckets: Buckets, tmp_path: Path) -> None:
    """A bucket named without its keys is not opened with those that this machine has."""
    job, output, path = made(tmp_path)
    async with scripted() as server:
        target = S3Target("pictures", endpoint_url=server.url)
        with pytest.raises(DeliveryRefused):
            await buckets.client_bucket(target, opened(server.url)).put(job, output, path)
        assert server.asked == []


def test_secrets_show_in_no_repr() -> None:
    """Whatever prints a request or a target prints no key."""
    target = S3Target("b", KEY_ID, SecretStr(SECRET), SecretStr("token"), prefix="p")
    for thing in (target, JobRequest(prompt={}, target=target)):
        assert SECRET not in repr(thing)
        assert KEY_ID not in repr(thing)


def test_a_link_lives_at_most_a_week() -> None:
    """Longer presigned URLs don't exist."""
    with pytest.raises(StartupError, match="WORKER_S3_URL_LIFE"):
        UrlOptions(8 * 24 * 3600)
