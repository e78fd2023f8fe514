"""Delivery to the requested storage, and repeated delivery without a second run."""

from __future__ import annotations

import asyncio
import base64
import io
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import pytest
from PIL import Image
from pydantic import SecretStr

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.observers.receiver import receiver
from tests.storage.buckets import KEY_ID, SECRET, ScriptedServer, WholeBucket, scripted, whole_bucket
from tests.workflows import picture, slow
from worker.events import Handlers, JobFinished
from worker.platforms.base import Traits
from worker.platforms.registry import choose
from worker.platforms.vast.platform import Vast


@pytest.fixture(scope="module")
def bucket() -> Iterator[WholeBucket]:
    with whole_bucket() as found:
        yield found


def operators(found: WholeBucket | ScriptedServer) -> dict:
    """Return the settings of a worker with this bucket."""
    keys = {"s3_access_key_id": KEY_ID, "s3_secret_access_key": SecretStr(SECRET)}
    return {"s3_bucket": "pictures", "s3_endpoint": found.url, **keys}


def own(found: WholeBucket | ScriptedServer, **more: str) -> dict:
    """Return the native section for the client's own bucket."""
    keys = {"access_key_id": KEY_ID, "secret_access_key": SECRET}
    return {"bucket": "pictures", "endpoint_url": found.url, **keys, **more}


def opened(found: WholeBucket | ScriptedServer) -> str:
    return found.url.removeprefix("http://")


@asynccontextmanager
async def failing_worker(
    engine: EngineHandle, folder: Path, failures: int, **more_settings: object
) -> AsyncIterator[tuple[Client, ScriptedServer]]:
    """Yield a worker whose bucket returns 500 a number of times."""
    async with (
        scripted(statuses=[500] * failures) as server,
        worker(engine, folder, **operators(server), **more_settings) as client,
    ):
        yield client, server


def traits_of(platform: str) -> Traits:
    return choose(platform, {}).platform.traits


async def runs(client: Client, engine: EngineHandle) -> int:
    async with client.http.get(engine.url + "/history") as response:
        return len(await response.json())


async def fetched(client: Client, url: str) -> bytes:
    async with client.http.get(url) as response:
        assert response.status == 200
        return await response.read()


PNG = b"\x89PNG"


@pytest.mark.parametrize("platform", ["none", "vast"])
async def test_url_means_the_operators_bucket(
    engine: EngineHandle, bucket: WholeBucket, tmp_path: Path, platform: str
) -> None:
    """`output_format: url` returns a URL in the operator's bucket, also behind Vast."""
    async with worker(engine, tmp_path, traits_of(platform), **operators(bucket)) as client:
        status, body = await client.post("/generate/sync", {"workflow": picture(), "output_format": "url"})
        assert (status, body["image"]) == (200, body["outputs"][0]["url"])
        assert body["image"].startswith(f"{bucket.url}/pictures/")
        assert (await fetched(client, body["image"])).startswith(PNG)
        assert (await client.get("/capabilities"))[1]["output_formats"] == ["base64", "url"]


async def test_the_stock_dialect_uses_the_operators_bucket(
    engine: EngineHandle, bucket: WholeBucket, tmp_path: Path
) -> None:
    """The stock dialect returns `url` for each file if a bucket is configured."""
    async with worker(engine, tmp_path, Vast.traits, **operators(bucket)) as client:
        _, body = await client.post("/generate/sync", {"input": {"workflow_json": picture()}})
        [output] = body["output"]
        assert (await fetched(client, output["url"])).startswith(PNG)
        assert "data" not in output


async def test_the_stock_dialects_own_bucket(engine: EngineHandle, bucket: WholeBucket, tmp_path: Path) -> None:
    """The stock dialect's `s3` section is used, with base64 as well if both are requested."""
    section = own(bucket) | {"region": "us-east-1", "connect_timeout": 60, "bucket_name": "pictures"}
    del section["bucket"]
    request = {"workflow_json": picture(), "s3": section, "return_outputs_as_base64": True}
    async with worker(engine, tmp_path, s3_allowed_hosts=opened(bucket)) as client:
        status, body = await client.post("/generate/sync", {"input": request})
        assert status == 200, body
        [output] = body["output"]
        assert base64.b64decode(output["data"]) == await fetched(client, output["url"])


async def test_the_stock_dialects_empty_sections_mean_none(client: Client) -> None:
    """An `s3` or `webhook` section of empty strings is ignored in the stock dialect."""
    sections = {
        "s3": {"access_key_id": "", "secret_access_key": "", "endpoint_url": "", "bucket_name": "", "region": ""},
        "webhook": {"url": "", "extra_params": {}},
    }
    status, body = await client.post("/generate/sync", {"input": {"workflow_json": picture(), **sections}})
    assert (status, body["status"]) == (200, "completed")


async def test_the_runpod_dialect_with_a_bucket(engine: EngineHandle, bucket: WholeBucket, tmp_path: Path) -> None:
    """The runpod dialect returns `s3_url` if a bucket is configured, and the URL opens the image."""
    async with worker(engine, tmp_path, **operators(bucket)) as client:
        _, body = await client.post("/generate/sync", {"input": {"workflow": picture()}})
        assert body["images"][0]["type"] == "s3_url"
        assert (await fetched(client, body["images"][0]["data"])).startswith(PNG)


async def test_the_runpod_dialects_own_bucket(engine: EngineHandle, bucket: WholeBucket, tmp_path: Path) -> None:
    """RunPod's `s3Config` is used if the operator allows its host, and is never ignored."""
    section = {"accessId": KEY_ID, "accessSecret": SECRET, "bucketName": bucket.name, "endpointUrl": bucket.url}
    request = {"input": {"workflow": picture()}, "s3Config": section}
    async with worker(engine, tmp_path / "closed") as client:
        status, body = await client.post("/generate/sync", request)
        assert (status, body["error_info"]["code"]) == (422, "target_not_allowed"), body
        status, body = await client.post("/generate/sync", {**request, "s3Config": {"bucketName": "pictures"}})
        assert (status, body["error_info"]["code"]) == (400, "invalid_field"), body
    async with worker(engine, tmp_path / "open", s3_allowed_hosts=opened(bucket)) as client:
        status, body = await client.post("/generate/sync", request)
        assert status == 200, body
        [image] = body["images"]
        assert image["type"] == "s3_url"
        assert (await fetched(client, image["data"])).startswith(PNG)
        assert SECRET not in str(body)


async def test_a_bucket_of_the_clients_own(engine: EngineHandle, bucket: WholeBucket, tmp_path: Path) -> None:
    """A file is stored under the requested prefix, and the URL in the response opens it."""
    request = {"workflow": picture(), "s3": own(bucket, prefix="team/a"), "output": {"format": "webp"}}
    async with worker(engine, tmp_path, s3_allowed_hosts=opened(bucket)) as client:
        status, body = await client.post("/generate/sync", request)
        assert status == 200, body
        assert body["outputs"][0]["mime"] == "image/webp"
        assert (await fetched(client, body["image"]))[8:12] == b"WEBP"
    assert any(name.startswith("team/a/") and name.endswith(".webp") for name in bucket.names())


async def test_presigned_urls(engine: EngineHandle, bucket: WholeBucket, tmp_path: Path) -> None:
    """Two files are sent to two presigned URLs, in the order of the response."""
    urls = [
        bucket.client().generate_presigned_url("put_object", Params={"Bucket": "pictures", "Key": f"mine/{n}.png"})  # type: ignore[attr-defined]
        for n in (0, 1)
    ]
    workflow = picture(color=101)
    workflow["5"] = {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 32, "batch_size": 1, "color": 7}}
    workflow["10"] = {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "second"}}
    async with worker(engine, tmp_path, s3_allowed_hosts=opened(bucket)) as client:
        status, body = await client.post("/generate/sync", {"workflow": workflow, "put_urls": urls})
    assert status == 200, body
    assert [(output["node_id"], output["url"].rsplit("/", 1)[1]) for output in body["outputs"]] == [
        ("2", "0.png"),
        ("10", "1.png"),
    ]
    assert [bucket.head(f"mine/{n}.png")["ContentLength"] for n in (0, 1)] == [
        output["bytes"] for output in body["outputs"]
    ]


NOT_ALLOWED = [
    pytest.param(
        {"s3": {"bucket": "b", "endpoint_url": "https://evil.example.com"}}, 400, "invalid_field", id="no keys"
    ),
    pytest.param({"s3": {"endpoint_url": "http://127.0.0.1:1"}}, 400, "invalid_field", id="endpoint alone"),
    pytest.param({"s3": {"bucket": "b"}}, 400, "invalid_field", id="bucket alone"),
    pytest.param({"put_urls": []}, 400, "invalid_field", id="no address"),
    pytest.param({"put_urls": ["https://evil.example.com/x"]}, 422, "target_not_allowed", id="foreign address"),
    pytest.param({"put_urls": ["http://169.254.169.254/x"]}, 422, "target_not_allowed", id="metadata"),
    pytest.param({"output": {"format": "png", "quality": 3}}, 400, "invalid_field", id="quality of PNG"),
    pytest.param({"output": {"format": "gif"}}, 400, "invalid_field", id="no such format"),
]
ENDPOINTS = [
    "https://evil.example.com",
    "https://s3.example.com:444",
    "https://s3.example.com@evil.example.com",
    "https://evil.example.com#s3.example.com",
    "https://s3.example.com.evil.example.com",
    "http://169.254.169.254",
    "http://127.0.0.1:1",
    "http://[::1]",
    "http://2130706433",
    "file:///etc",
]


@pytest.mark.parametrize(("fields", "status", "code"), NOT_ALLOWED)
async def test_bad_targets_are_refused(client: Client, fields: dict, status: int, code: str) -> None:
    """A bad target is refused before the job is queued, and never opened with the operator's credentials."""
    found, body = await client.post("/generate/sync", {"workflow": picture(), **fields})
    assert (found, body["error"]["code"]) == (status, code)
    assert client.app.manager.admission.load.jobs == 0


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_bad_endpoints_are_refused(engine: EngineHandle, tmp_path: Path, endpoint: str) -> None:
    """An endpoint that only looks like the allowed host is refused."""
    async with worker(engine, tmp_path, s3_allowed_hosts="s3.example.com, *.amazonaws.com") as client:
        section = {"bucket": "b-1", "access_key_id": KEY_ID, "secret_access_key": SECRET, "endpoint_url": endpoint}
        stock = section | {"bucket_name": "b-1"}
        for body in ({"workflow": picture(), "s3": section}, {"input": {"workflow_json": picture(), "s3": stock}}):
            status, answered = await client.post("/generate/sync", body)
            assert status in {400, 422}
            assert answered["error"]["code"] in {"target_not_allowed", "url_refused"}
            assert SECRET not in str(answered)


@pytest.mark.parametrize("region", ["x@evil.example.com/#", "us-east-1.evil.example.com", "../..", "a b"])
async def test_a_region_can_not_name_a_host(client: Client, region: str) -> None:
    """A region with the characters of a host name is refused, because AWS's hosts contain the region."""
    section = {"bucket": "b-1", "access_key_id": KEY_ID, "secret_access_key": SECRET, "region": region}
    status, body = await client.post("/generate/sync", {"workflow": picture(), "s3": section})
    assert (status, body["error"]["code"]) == (400, "invalid_field")


@pytest.mark.parametrize(("platform", "status"), [("none", 503), ("vast", 422)])
async def test_a_failed_delivery_is_no_second_run(
    engine: EngineHandle, tmp_path: Path, platform: str, status: int
) -> None:
    """A failed delivery returns an error that opens the result, and a second request delivers it without a run.

    Behind Vast the status is never 5xx, because Vast's client would send the job to another worker.
    """
    async with failing_worker(engine, tmp_path, 4, traits=traits_of(platform)) as (client, server):
        before = await runs(client, engine)
        found, body = await client.post("/generate/sync", {"workflow": picture(), "output_format": "url"})
        assert (found, body["error"]["code"], body["error"]["retryable"]) == (status, "delivery_failed", True)
        assert body["error"]["retryable_elsewhere"] is False
        job, token = f"/jobs/{body['id']}", body["token"]
        assert (await client.get(job, token))[0] == status
        assert (await fetched(client, f"{client.app.url}{job}/outputs/0?token={token}")).startswith(PNG)
        async with client.http.post(f"{client.app.url}{job}/deliver?token={token}") as response:
            delivered = await response.json()
            assert response.status == 200, delivered
        assert delivered["image"].startswith(server.url)
        assert server.bodies[-1].startswith(PNG)
        assert (await client.get(job, token)) == (200, delivered)
        assert await runs(client, engine) == before + 1


async def test_the_same_request_delivers_again(engine: EngineHandle, tmp_path: Path) -> None:
    """A repeated request under the same id repeats only the delivery."""
    async with failing_worker(engine, tmp_path, 4) as (client, _):
        before = await runs(client, engine)
        request = {"workflow": picture(), "output_format": "url", "id": "again"}
        assert (await client.post("/generate/sync", request))[0] == 503
        assert (await client.post("/generate/sync", request))[0] == 200
        assert await runs(client, engine) == before + 1


async def test_new_credentials_after_a_refusal(engine: EngineHandle, bucket: WholeBucket, tmp_path: Path) -> None:
    """A delivery that was refused for wrong credentials succeeds with new ones in the body."""
    async with scripted(statuses=[403]) as server:
        hosts = f"{opened(server)}, {opened(bucket)}"
        async with worker(engine, tmp_path, s3_allowed_hosts=hosts) as client:
            status, body = await client.post("/generate/sync", {"workflow": picture(), "s3": own(server)})
            assert (status, body["error"]["code"], body["error"]["fault"]) == (422, "delivery_refused", "client")
            path, token = f"/jobs/{body['id']}/deliver", body["token"]
            headers = {"Authorization": f"Bearer {token}"}
            status, refused = await client.post(path, {"s3": {"bucket": "x"}}, **headers)
            assert (status, refused["error"]["code"]) == (400, "invalid_field")
            status, refused = await client.post(path, {"put_urls": ["https://evil.example.com"]}, **headers)
            assert (status, refused["error"]["code"]) == (422, "target_not_allowed")
            status, done = await client.post(path, {"s3": own(bucket, prefix="fresh")}, **headers)
            assert status == 200, done
            assert (await fetched(client, done["image"])).startswith(PNG)


async def test_only_pending_results_can_be_delivered(client: Client) -> None:
    """`POST /deliver` refuses a completed job, a running job, and another caller's job."""
    _, job = await client.post("/generate", {"workflow": slow(0.3)})
    path, headers = f"/jobs/{job['id']}/deliver", {"Authorization": f"Bearer {job['token']}"}
    assert (await client.post(path, {}, **headers))[1]["error"]["code"] == "nothing_to_deliver"
    await client.state(job, "completed")
    status, body = await client.post(path, {}, **headers)
    assert (status, body["error"]["code"]) == (409, "nothing_to_deliver")
    assert (await client.post(path, {}))[0] == 404


async def test_too_large_for_a_response(engine: EngineHandle, tmp_path: Path) -> None:
    """Outputs that are too large for a response are kept, and can be fetched or delivered by URL."""
    workflow = picture(64, 64)
    workflow["1"] = {"class_type": "LoadImage", "inputs": {"image": "noise.png"}}
    async with worker(engine, tmp_path, inline_max=1) as client:
        noise = base64.b64encode(_noise(1200)).decode()
        request = io.BytesIO(orjson.dumps({"workflow": workflow, "inputs": {"noise.png": noise}}))
        async with client.http.post(client.app.url + "/generate/sync", data=request) as response:
            body = await response.json()
        assert (response.status, body["error"]["code"]) == (422, "output_too_large_for_inline")
        assert "output_format" in body["error"]["message"]
        url = f"{client.app.url}/jobs/{body['id']}"
        assert (await fetched(client, f"{url}/outputs/0?token={body['token']}")).startswith(PNG)
        async with client.http.post(f"{url}/deliver?token={body['token']}", json={"output_format": "url"}) as response:
            done = await response.json()
            assert response.status == 200, done
        assert (await fetched(client, done["image"])).startswith(PNG)


def _noise(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


async def test_credentials_are_not_stored(
    engine: EngineHandle, bucket: WholeBucket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Credentials are in no log, response, error, job or file of the worker."""
    caplog.set_level(logging.DEBUG)
    async with scripted(statuses=[403]) as server:
        hosts = f"{opened(server)}, {opened(bucket)}"
        async with worker(engine, tmp_path, s3_allowed_hosts=hosts) as client:
            good = await client.post("/generate/sync", {"workflow": picture(), "s3": own(bucket), "id": "good"})
            bad = await client.post("/generate/sync", {"workflow": picture(), "s3": own(server), "id": "bad"})
            wrong = await client.post("/generate/sync", {"workflow": picture(), "s3": own(bucket) | {"x": 1}})
            assert [good[0], bad[0], wrong[0]] == [200, 422, 400]
            job = client.app.manager.find(good[1]["id"], _token(client, "good"))
            assert job.request.target is None
            for text in (*map(str, (good, bad, wrong)), caplog.text, repr(job)):
                assert SECRET not in text
            assert KEY_ID not in str(bad)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def _token(client: Client, id: str) -> str:
    return client.app.manager.find_owned(id, "local").token


async def test_an_upload_delays_no_other_job_and_can_be_cancelled(engine: EngineHandle, tmp_path: Path) -> None:
    """While an upload hangs, the next job runs and ends, and the hanging job can be cancelled."""
    async with scripted(hangs=True) as server, worker(engine, tmp_path, **operators(server)) as client:
        _, stuck = await client.post("/generate", {"workflow": picture(), "output_format": "url"})
        await client.state(stuck, "delivering")
        async with asyncio.timeout(60):
            assert (await client.post("/generate/sync", {"workflow": picture()}))[0] == 200
        status, body = await client.delete(f"/jobs/{stuck['id']}", stuck["token"])
        assert (status, body["cancelled"], body["status"]) == (200, True, "cancelled")


async def test_a_delivery_that_takes_too_long_keeps_the_result(engine: EngineHandle, tmp_path: Path) -> None:
    """A delivery that exceeds the job's time limit keeps the result."""
    async with scripted(hangs=True) as server, worker(engine, tmp_path, **operators(server)) as client:
        request = {"workflow": picture(), "output_format": "url", "timeout_s": 4.0}
        status, body = await client.post("/generate/sync", request)
        assert (status, body["error"]["code"]) == (503, "delivery_failed")
        assert (await fetched(client, f"{body['url']}/outputs/0?token={body['token']}")).startswith(PNG)


async def test_webhooks_report_a_pending_and_a_completed_delivery(engine: EngineHandle, tmp_path: Path) -> None:
    """A webhook reports that the result is pending, and later that it was delivered."""
    async with receiver() as server, failing_worker(engine, tmp_path, 4, fetch_allow=server.opened) as (client, _):
        webhook = {"url": server.url}
        await client.post("/generate/sync", {"workflow": picture(), "output_format": "url", "webhook": webhook})
        [waits] = await server.messages(1)
        assert waits.json["type"] == "job.delivery_pending"
        data = waits.json["data"]
        async with client.http.post(f"{data['url']}/deliver?token={data['token']}") as response:
            assert response.status == 200
        _, done = await server.messages(2)
        assert (done.json["type"], done.json["data"]["status"]) == ("job.completed", "success")


async def test_a_restart_keeps_pending_results(engine: EngineHandle, tmp_path: Path) -> None:
    """A pending result is delivered after a restart."""
    async with scripted(statuses=[500] * 4) as server:
        async with worker(engine, tmp_path, **operators(server)) as client:
            status, body = await client.post("/generate/sync", {"workflow": picture(), "output_format": "url"})
            assert status == 503
        async with worker(engine, tmp_path, **operators(server)) as client:
            path, headers = f"/jobs/{body['id']}", {"Authorization": f"Bearer {body['token']}"}
            assert (await client.get(path, body["token"]))[1]["error"]["code"] == "delivery_failed"
            assert (await client.post(f"{path}/deliver", {}, **headers))[0] == 200


async def test_a_restart_keeps_pending_results_of_requests_without_an_id(engine: EngineHandle, tmp_path: Path) -> None:
    """A pending result of a request without an id survives a restart, because its error contained the id."""
    async with worker(engine, tmp_path, inline_max=0) as client:
        status, body = await client.post("/generate/sync", {"workflow": picture()})
        assert (status, body["error"]["code"]) == (422, "output_too_large_for_inline")
    async with worker(engine, tmp_path) as client:
        path, headers = f"/jobs/{body['id']}", {"Authorization": f"Bearer {body['token']}"}
        assert (await client.post(f"{path}/deliver", {}, **headers))[1]["status"] == "success"


async def test_after_a_restart_a_client_has_to_send_its_credentials_again(
    engine: EngineHandle, bucket: WholeBucket, tmp_path: Path
) -> None:
    """After a restart a delivery needs the client's credentials again, and never uses the operator's bucket."""
    async with scripted(statuses=[403]) as server:
        settings = {"s3_allowed_hosts": f"{opened(server)}, {opened(bucket)}", **operators(bucket)}
        async with worker(engine, tmp_path, **settings) as client:
            _, body = await client.post("/generate/sync", {"workflow": picture(), "s3": own(server), "id": "mine"})
        names = bucket.names()
        async with worker(engine, tmp_path, **settings) as client:
            path, headers = f"/jobs/{body['id']}/deliver", {"Authorization": f"Bearer {body['token']}"}
            status, without = await client.post(path, {}, **headers)
            assert (status, without["error"]["code"]) == (503, "delivery_failed")
            assert "credentials" in without["error"]["message"]
            assert bucket.names() == names
            assert (await client.post(path, {"s3": own(bucket, prefix="back")}, **headers))[0] == 200
    assert any(name.startswith("back/") for name in bucket.names())


async def test_results_are_evicted_oldest_first(engine: EngineHandle, tmp_path: Path) -> None:
    """Above the quota the oldest results are deleted with ComfyUI's files, and the newest are kept."""
    async with worker(engine, tmp_path, outputs_quota=1) as client:
        jobs = []
        for _ in range(3):
            workflow = picture(prefix="quota")
            workflow["1"] = {"class_type": "LoadImage", "inputs": {"image": "noise.png"}}
            request = {"workflow": workflow, "inputs": {"noise.png": base64.b64encode(_noise(500)).decode()}}
            _, job = await client.post("/generate", {**request, "output_format": "url"})
            await client.state(job, "completed")
            jobs.append(job)
        async with asyncio.timeout(60):
            while (await client.get(f"/jobs/{jobs[0]['id']}", jobs[0]["token"]))[0] != 404:
                await asyncio.sleep(0.02)
        assert (await client.get(f"/jobs/{jobs[2]['id']}", jobs[2]["token"]))[0] == 200
        await client.app.manager.close()
        kept_files = [path for path in (tmp_path / "outputs").rglob("*") if path.is_file()]
        assert 1 <= len(kept_files) < 3
        assert len(list(engine.output.glob("quota*"))) == len(kept_files)


async def test_a_shared_file_is_kept(engine: EngineHandle, tmp_path: Path) -> None:
    """ComfyUI's file is deleted with the last job that has it, and never if it existed before the job."""
    async with worker(engine, tmp_path, result_ttl_s=0.3) as client:
        async with aiohttp.ClientSession() as http:  # somebody at the editor, before
            workflow = picture(prefix="shared", color=424242)
            await http.post(engine.url + "/prompt", json={"prompt": workflow})
        async with asyncio.timeout(60):
            while not list(engine.output.glob("shared*")):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)
        _, theirs = await client.post("/generate", {"workflow": workflow})
        _, ours = await client.post("/generate", {"workflow": picture(prefix="ours")})
        await client.state(theirs, "completed")
        await client.state(ours, "completed")
        async with asyncio.timeout(60):
            while list(engine.output.glob("ours*")):
                await asyncio.sleep(0.02)
            while (await client.get(f"/jobs/{theirs['id']}", theirs["token"]))[0] != 404:
                await asyncio.sleep(0.02)
        assert len(list(engine.output.glob("shared*"))) == 1


class DeliversAtOnce:
    """An observer that requests a delivery as soon as the first one has failed."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.asked = 0

    @property
    def handlers(self) -> Handlers:
        return {JobFinished: self._finished}

    def _finished(self, event: JobFinished) -> None:
        if not self.asked:
            self.asked += 1
            self._client.app.manager.deliver(self._client.app.manager.find_owned(event.job.id, event.job.principal))


async def test_a_delivery_may_be_requested_immediately_after_a_failure(engine: EngineHandle, tmp_path: Path) -> None:
    """A delivery that is requested while the failed one is still being recorded runs once."""
    async with failing_worker(engine, tmp_path, 4) as (client, _):
        impatient = DeliversAtOnce(client)
        client.app.observers.add(impatient)
        _, body = await client.post("/generate", {"workflow": picture(), "output_format": "url", "id": "again"})
        async with asyncio.timeout(60):
            while (response := await client.get("/jobs/again", body["token"]))[1]["status"] != "success":
                await asyncio.sleep(0.05)
        assert (response[0], impatient.asked, client.app.manager.admission.load.jobs) == (200, 1, 0)
