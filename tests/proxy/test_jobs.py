"""Jobs through the proxy, as clients send them: each answer is that of a worker."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from tests.conftest import bearer, worker
from tests.engines import EngineHandle
from tests.inputs.files import png
from tests.proxy.running import ProxyClient, proxy
from tests.workflows import drawn, faulty, picture, slow
from worker.sse import EventParser, ServerSentEvent

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProxyClient]:
    """A proxy in front of one worker."""
    folder = tmp_path_factory.mktemp("proxy")
    async with worker(engine, folder / "worker") as backend, proxy(folder / "proxy", backend.app.url) as found:
        yield found


def loading_noise() -> dict:
    """Return a request whose image does not compress: its result has more than a mebibyte."""
    image = io.BytesIO()
    Image.effect_noise((1400, 1400), 90).save(image, "PNG")
    workflow = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "noise.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "noise"}},
    }
    return {"workflow": workflow, "inputs": {"noise.png": base64.b64encode(image.getvalue()).decode()}}


async def events_of(client: ProxyClient, answer: aiohttp.ClientResponse) -> list[ServerSentEvent]:
    parser, events = EventParser(), []
    async with asyncio.timeout(60):
        async for piece in answer.content.iter_any():
            events += parser.feed(piece)
    return events


async def test_the_first_example(client: ProxyClient) -> None:
    """A client posts a workflow and reads the image."""
    status, body = await client.post("/generate/sync", {"workflow": picture()})
    assert (status, body["status"]) == (200, "success")
    assert base64.b64decode(body["image"]).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"workflow": drawn()}, "outputs"),
        ({"template": "smoke-resize"}, "outputs"),
        ({"input": {"workflow": picture()}}, "images"),
        ({"input": {"workflow_json": picture(), "return_outputs_as_base64": True}}, "output"),
        ({"payload": {"workflow": picture()}, "auth_data": {}}, "outputs"),
        ([{"workflow": picture()}], "outputs"),
    ],
)
async def test_every_dialect_passes(client: ProxyClient, body: object, field: str) -> None:
    """The answer has the dialect of the question, also for bodies of other tools."""
    status, answer = await client.post("/generate/sync", body)
    assert status == 200
    assert answer[field]


async def test_a_form_with_a_file(client: ProxyClient) -> None:
    """Files beside the JSON reach the backend."""
    workflow = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "form"}},
    }
    form = aiohttp.FormData()
    form.add_field("request", json.dumps({"workflow": workflow}), content_type="application/json")
    form.add_field("a.png", png(), filename="a.png", content_type="image/png")
    async with client.http.post(client.url + "/generate/sync", data=form) as answer:
        assert answer.status == 200, await answer.text()
        assert (await answer.json())["outputs"][0]["kind"] == "image"


async def test_an_image_as_the_response(client: ProxyClient) -> None:
    """With `Accept`, the body is the file."""
    headers = {"Accept": "image/png"}
    async with client.http.post(client.url + "/generate/sync", json={"workflow": picture()}, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (200, "image/png")
        assert (await answer.read()).startswith(b"\x89PNG")


async def test_outputs_by_url_come_from_the_proxy(client: ProxyClient) -> None:
    """URLs name the proxy, which has the files even if the backend is gone. Ranges are supported."""
    status, body = await client.post("/generate/sync", {"workflow": picture(), "output_format": "url"})
    assert status == 200
    [output] = body["outputs"]
    assert output["url"] == body["image"]
    assert output["url"].startswith(client.url)
    assert "data" not in output
    async with client.http.get(output["url"]) as answer:
        assert len(await answer.read()) == output["bytes"]
    async with client.http.get(output["url"], headers={"Range": "bytes=1-3"}) as answer:
        assert (answer.status, await answer.read()) == (206, b"PNG")
    async with client.http.get(output["url"].partition("?")[0]) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("route", ["/generate/sync", "/generate", "/generate/stream"])
async def test_an_invalid_workflow_is_rejected_at_once(client: ProxyClient, route: str) -> None:
    """The error is that of the worker, and no job is left behind."""
    before = client.app.jobs.open_jobs
    status, body = await client.post(route, {"workflow": {"1": {"class_type": "NoSuchNode", "inputs": {}}}})
    assert (status, body["error"]["code"]) == (422, "invalid_workflow")
    assert body["error"]["details"][0]["node_id"] == "1"
    assert client.app.jobs.open_jobs == before


async def test_a_job_that_fails(client: ProxyClient) -> None:
    """The error of a node is the result of the job."""
    _, job = await client.post("/generate", {"workflow": faulty("raise", 0.1)})
    status, body = await client.result(job)
    assert (status, body["error"]["code"], body["id"]) == (422, "node_failed", job["id"])


async def test_a_job_with_an_id_of_its_caller(client: ProxyClient) -> None:
    """The same request again returns the same job, and another body is a conflict."""
    body = {"workflow": picture(), "id": "my-own-id"}
    status, first = await client.post("/generate/sync", body)
    assert (status, first["id"]) == (200, "my-own-id")
    assert await client.post("/generate/sync", body) == (200, first)
    status, other = await client.post("/generate/sync", body | {"workflow": picture()})
    assert (status, other["error"]["code"]) == (409, "id_taken")
    _, job = await client.post("/generate", {"workflow": picture()}, **{"Idempotency-Key": "a-header"})
    assert job["id"] == "a-header"
    assert (await client.result(job))[1]["id"] == "a-header"


async def test_events_of_a_job(client: ProxyClient) -> None:
    """The stream has the events of the worker, with the id and the token of the proxy, and can be resumed."""
    body = {"workflow": slow(0.5, 10), "id": "with-events"}
    async with client.http.post(client.url + "/generate/stream", json=body) as answer:
        events = await events_of(client, answer)
    names = [event.name for event in events]
    assert names[0] == "accepted"
    assert names[-1] == "result"
    assert {"state", "node", "step", "output"} <= set(names)
    job, result = json.loads(events[0].data), json.loads(events[-1].data)
    assert (job["id"], result["id"], result["status"]) == ("with-events", "with-events", "success")
    numbers = [int(event.id) for event in events]
    assert numbers == sorted(set(numbers))
    headers = bearer(job["token"]) | {"Last-Event-ID": events[-2].id}
    async with client.http.get(f"{client.url}/jobs/with-events/events", headers=headers) as answer:
        assert [event.id for event in await events_of(client, answer)] == [events[-1].id]


async def test_a_running_job_is_cancelled(client: ProxyClient) -> None:
    """The cancellation reaches the worker, and the job ends as cancelled."""
    _, job = await client.post("/generate", {"workflow": slow(30, 600)})
    status, body = await client.get(f"/jobs/{job['id']}", job["token"])
    assert (status, body["status"], body["token"]) == (202, "pending", job["token"])
    status, body = await client.delete(f"/jobs/{job['id']}", job["token"])
    assert (status, body["cancelled"]) == (200, True)
    status, body = await client.result(job)
    assert (status, body["error"]["code"]) == (499, "cancelled")
    assert (await client.delete(f"/jobs/{job['id']}", job["token"]))[1]["cancelled"] is False


async def test_a_client_that_leaves_cancels_its_job(client: ProxyClient) -> None:
    """A synchronous job without an id is cancelled at the backend when its client has left."""
    [slot] = client.app.slots.values()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await client.post("/generate/sync", {"workflow": slow(60, 600)})
    async with asyncio.timeout(30):
        while slot.open_jobs or client.app.jobs.open_jobs:
            await asyncio.sleep(0.05)
    assert (await client.post("/generate/sync", {"workflow": picture()}))[0] == 200


async def test_a_job_needs_its_token(client: ProxyClient) -> None:
    """Another token, no token and an unknown id have the same answer."""
    _, job = await client.post("/generate", {"workflow": picture()})
    for path, token in ((job["id"], "wrong"), (job["id"], ""), ("unknown", job["token"])):
        status, body = await client.get(f"/jobs/{path}", token)
        assert (status, body["error"]["code"]) == (404, "not_found")


async def test_templates_and_health(client: ProxyClient) -> None:
    """The proxy answers what needs no backend itself."""
    status, body = await client.get("/templates/smoke-resize")
    assert (status, body["name"]) == (200, "smoke-resize")
    for path in ("/health", "/ping", "/ready"):
        assert (await client.get(path))[0] == 200
    status, body = await client.get("/capabilities")
    [backend] = body["backends"]
    assert (status, backend["name"], backend["problem"]) == (200, "http", None)
    assert (await client.get("/openapi.json"))[0] == 200
    status, body = await client.get("/nowhere")
    assert (status, body["error"]["code"]) == (404, "not_found")


async def test_a_page_of_another_origin_is_rejected(client: ProxyClient) -> None:
    """Without keys, a page in a browser on this machine cannot use the proxy."""
    headers = {"Origin": "https://evil.example"}
    status, body = await client.post("/generate/sync", {"workflow": picture()}, **headers)
    assert (status, body["error"]["code"]) == (403, "origin_not_allowed")


async def test_many_jobs_at_once(client: ProxyClient) -> None:
    """Fifty callers get their own results."""
    bodies = [{"workflow": picture(prefix=f"many{number}")} for number in range(50)]
    answers = await asyncio.gather(*(client.post("/generate/sync", body) for body in bodies))
    for number, (status, body) in enumerate(answers):
        assert status == 200
        assert body["outputs"][0]["filename"].startswith(f"many{number}_")


async def test_a_strict_request_repairs_nothing(client: ProxyClient) -> None:
    """`?strict=true` reaches the worker."""
    workflow = picture()
    workflow["2"]["inputs"]["images"] = ["1", "0"]  # a text in place of a number, which is repaired otherwise
    assert (await client.post("/generate/sync", {"workflow": workflow}))[0] == 200
    assert (await client.post("/generate/sync?strict=true", {"workflow": workflow}))[0] == 422


async def test_a_job_that_ended_with_a_retryable_error_runs_again(client: ProxyClient) -> None:
    """The same request with the same id starts it again, and its token stays."""
    body = {"workflow": picture(), "id": "again"}
    _, job = await client.post("/generate", body)
    assert (await client.result(job))[0] == 200
    known = client.app.jobs.index.get("local", "again")
    assert known is not None
    assert known.result is not None
    known.result = replace(known.result, status=503)
    status, repeated = await client.post("/generate", body)
    assert (status, repeated["token"]) == (202, job["token"])
    assert (await client.result(repeated))[0] == 200


async def test_questions_go_to_a_worker(client: ProxyClient) -> None:
    """`/validate` and `/convert` have the answer of the worker. Its errors pass, too."""
    status, report = await client.post("/validate", {"workflow": {"1": {"class_type": "NoSuchNode", "inputs": {}}}})
    assert (status, report["valid"]) == (200, False)
    status, converted = await client.post("/convert", drawn())
    assert status == 200
    assert "EmptyImage" in json.dumps(converted)
    status, body = await client.get("/handlers")
    assert (status, body["error"]["code"]) == (404, "not_found")


async def test_the_id_of_a_refused_request_can_be_used_again(client: ProxyClient) -> None:
    """A client that corrects its workflow may keep the id."""
    wrong = {"workflow": {"1": {"class_type": "NoSuchNode", "inputs": {}}}, "id": "corrected"}
    for route in ("/generate/sync", "/generate"):
        assert (await client.post(route, wrong))[0] == 422
    assert (await client.post("/generate/sync", wrong | {"workflow": picture()}))[0] == 200


async def test_an_unknown_handler_has_a_native_error(client: ProxyClient) -> None:
    """The error of a call has the form that a worker sends."""
    status, body = await client.post("/handlers/nothing", {})
    assert (status, body["status"], body["error"]["code"]) == (404, "error", "not_found")


async def test_a_large_image_as_the_response_leaves_no_file(client: ProxyClient) -> None:
    """A result above what stays in memory is sent whole, and nothing of it is left on the disk."""
    url, results = client.url + "/generate/sync", client.app.state / "results"
    before = set(results.iterdir()) if results.is_dir() else set()
    for request in (loading_noise(), {"workflow": picture()}):
        data = io.BytesIO(json.dumps(request).encode())
        async with client.http.post(url, data=data, headers={"Accept": "image/png"}) as answer:
            body = await answer.read()
            assert (answer.status, answer.content_type) == (200, "image/png")
            assert body.endswith(b"IEND\xaeB`\x82")
    async with asyncio.timeout(10):
        while set(results.iterdir()) - before:
            await asyncio.sleep(0.05)


async def test_requests_for_one_output_at_the_same_time(client: ProxyClient) -> None:
    """The file is written when it is requested first, and each request gets it whole."""
    data = io.BytesIO(json.dumps(loading_noise()).encode())
    async with client.http.post(client.url + "/generate", data=data) as answer:
        job = await answer.json()
    status, result = await client.result(job)
    assert status == 200
    url = f"{client.url}/jobs/{job['id']}/outputs/0"

    async def size() -> int:
        async with client.http.get(url, headers=bearer(job["token"])) as answer:
            assert answer.status == 200
            return len(await answer.read())

    sizes = await asyncio.gather(*(size() for _ in range(8)))
    assert set(sizes) == {result["outputs"][0]["bytes"]}


async def test_an_accepted_job_that_no_backend_can_run_ends(client: ProxyClient) -> None:
    """An error that another backend may not have is the result if there is no other backend."""
    _, job = await client.post("/generate", {"workflow": faulty("oom;times=0", 0.3)})
    async with asyncio.timeout(30):
        status, body = await client.result(job)
    assert (status, body["error"]["code"]) == (422, "out_of_memory")
