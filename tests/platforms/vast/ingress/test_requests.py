"""Requests through Vast's own client and SDK worker: responses, statuses, streams."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests import workflows
from tests.engines import EngineHandle
from tests.inputs.files import loading, noise
from tests.platforms.conftest import deleted, loaded, processes, start_worker
from worker.engine.process.free_port import free_port
from worker.load.workload import workload
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast
from worker.simulators.vast_router.signer import Signer

pytestmark = pytest.mark.asyncio(loop_scope="module")

Answer = dict[str, Any]
METRICS_TOKEN = "the-metrics-own-token"
SETTINGS = {
    "WORKER_SYNC_LIMIT": "1.0",
    "WORKER_MAX_BODY_MIB": "1",
    "WORKER_LOG_LEVEL": "debug",
    "WORKER_METRICS_TOKEN": METRICS_TOKEN,
}


class Vast:
    """The simulated router, the client's endpoint, and the log and address of the one worker."""

    def __init__(self, local: LocalVast, endpoint: Any, log: Path, gateway: str) -> None:
        self.local, self.record, self.endpoint, self.log = local, local.record, endpoint, log
        self.gateway = gateway

    async def ask(self, payload: object, route: str = "/generate/sync", **options: Any) -> Answer:
        answer: Answer = await self.endpoint.request(route, payload, **{"timeout": 25, **options})
        return answer

    async def signed(self) -> Answer:
        """Run one worker behind the SDK."""
        key = self.local.endpoint_key
        body = {"endpoint": "comfy", "api_key": key, "cost": 1.0, "request_idx": 0}
        url = f"{self.local.url}/route/"
        async with aiohttp.ClientSession() as http, http.post(url, json=body, params={"api_key": key}) as response:
            grant: Answer = await response.json()
            return grant

    async def post(self, path: str, **body: Any) -> tuple[int, Answer]:
        """Straight to the worker, as a client without the SDK would."""
        url = self.local.record.statuses[-1].url.replace("http://", "https://")
        context = await self.endpoint.client.get_ssl_context()
        async with aiohttp.ClientSession() as session, session.post(url + path, ssl=context, **body) as response:
            return response.status, await response.json()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def vast(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Vast]:
    """Run one worker over TLS whose synchronous requests return after at most one second."""
    folder = tmp_path_factory.mktemp("vast")
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(vast_router.serve(tls=True))
        spawn = await stack.enter_async_context(processes(folder))
        port = str(free_port())
        await start_worker(spawn, local, engine, 1, folder / "state", WORKER_GATEWAY_PORT=port, **SETTINGS)
        await local.record.until(loaded(1))
        client = await stack.enter_async_context(local.client())
        yield Vast(local, await client.get_endpoint("comfy"), folder / "comfy_worker-0.log", f"http://127.0.0.1:{port}")


async def test_both_dialects_bring_the_same_picture(vast: Vast) -> None:
    """A native payload and the stock template's return the same bytes for the same workflow."""
    workflow = workflows.picture(color=4242)
    native = await vast.ask({"workflow": workflow})
    stock = await vast.ask({"input": {"workflow_json": workflow, "return_outputs_as_base64": True}})
    assert native["ok"]
    assert stock["ok"]
    picture = base64.b64decode(native["response"]["image"])
    assert picture.startswith(b"\x89PNG")
    assert base64.b64decode(stock["response"]["output"][0]["data"]) == picture
    assert native["response"]["outputs"][0]["sha256"] == hashlib.sha256(picture).hexdigest()


FORMS = {
    "an API file": lambda workflow: workflow,
    "ComfyUI's prompt": lambda workflow: {"prompt": workflow, "client_id": "abc"},
    "JSON text": lambda workflow: {"workflow": json.dumps(workflow)},
    "long JSON text": lambda workflow: {"workflow": json.dumps({**workflow, "extra": {"note": "x" * 100_000}})},
    "RunPod's": lambda workflow: {"input": {"workflow": json.dumps(workflow)}, "webhook": ""},
}


@pytest.mark.parametrize("form", FORMS)
async def test_payloads_of_other_clients(vast: Vast, form: str) -> None:
    """A payload can have all forms of a body of the gateway."""
    answer = await vast.ask(FORMS[form](workflows.picture()))
    assert (answer["status"], answer["ok"]) == (200, True), answer


async def test_an_envelope_in_another_encoding(vast: Vast) -> None:
    """An envelope in UTF-16 is accepted, and its signature is checked."""
    auth = {**await vast.signed(), "cost": 1.0, "endpoint": "comfy"}
    for signature, expected in ((auth["signature"], 200), ("AAAA", 401)):
        body = {"auth_data": {**auth, "signature": signature}, "payload": {"workflow": workflows.picture()}}
        assert (await vast.post("/generate/sync", data=json.dumps(body).encode("utf-16")))[0] == expected


async def test_a_payload_that_cannot_be_read_is_told_why(vast: Vast) -> None:
    """Invalid JSON is the client's error, and a route of another server names the right one."""
    answer = await vast.ask({"workflow": "{'1': 2}"})
    assert (answer["status"], answer["response"]["error"]["code"]) == (400, "invalid_json")
    status, body = await vast.post("/history/abc", json={})
    assert (status, body["error"]["code"]) == (404, "not_found")
    assert "POST /result" in body["error"]["message"]


async def test_an_error_arrives_whole(vast: Vast) -> None:
    """An error has its status, code and node, where the SDK sends an empty 500 (T31, T32)."""
    answer = await vast.ask({"workflow": workflows.failing()})
    assert answer["status"] == 422
    error = answer["response"]["error"]
    assert (error["code"], error["fault"], error["details"][0]["node_id"]) == ("node_failed", "job", "3")


async def test_an_error_has_the_dialect_of_its_request(vast: Vast) -> None:
    """The stock template's clients get an error with `status` and `message`."""
    answer = await vast.ask({"input": {"request_id": "no spaces!", "workflow_json": workflows.picture()}})
    assert answer["status"] == 400
    assert answer["response"]["status"] == "failed"
    assert answer["response"]["error"]["code"] == "invalid_field"


async def test_a_large_answer_arrives_whole(vast: Vast) -> None:
    """A response of several MiB arrives complete, in chunks and with its length."""
    noise = {"image": ["1", 0], "seed": 1, "strength": 1.0}
    workflow = workflows.picture(1024, 1024) | {"3": {"class_type": "ImageAddNoise", "inputs": noise}}
    workflow["2"]["inputs"]["images"] = ["3", 0]
    answer = await vast.ask({"workflow": workflow})
    output = answer["response"]["outputs"][0]
    assert hashlib.sha256(base64.b64decode(output["data"])).hexdigest() == output["sha256"]
    assert (output["width"], output["height"]) == (1024, 1024)


async def test_an_answer_is_json_whatever_is_accepted(vast: Vast) -> None:
    """A response through the router is JSON, because Vast's client reads nothing else."""
    auth = {**await vast.signed(), "cost": 1.0, "endpoint": "comfy"}
    body = {"auth_data": auth, "payload": {"workflow": workflows.picture()}}
    status, answer = await vast.post("/generate/sync", json=body, headers={"Accept": "image/*"})
    assert (status, answer["status"]) == (200, "success")


@pytest.mark.parametrize("order", [("payload", "auth_data"), ("auth_data", "payload")])
async def test_a_large_input_goes_to_a_file(vast: Vast, order: tuple[str, str]) -> None:
    """A large input is accepted wherever the signature is, and nothing of it stays on disk."""
    text = base64.b64encode(noise()).decode()
    payload = {"workflow": loading("a.png"), "inputs": {"a.png": text}}
    auth = {**await vast.signed(), "cost": 1.0, "endpoint": "comfy"}
    for signature, expected in ((auth["signature"], 200), ("AAAA", 401)):
        body = {"auth_data": {**auth, "signature": signature}, "payload": payload}
        status, answer = await vast.post("/generate/sync", json={name: body[name] for name in order})
        assert status == expected, answer
    state = vast.log.parent / "state"
    async with asyncio.timeout(60):
        while [path for name in ("bodies", "inputs") for path in (state / name).rglob("*")]:
            await asyncio.sleep(0.05)


async def test_a_stream_is_not_buffered(vast: Vast) -> None:
    """Step events arrive while the job runs, and the result comes last."""
    answer = await vast.ask({"workflow": workflows.slow(0.6, steps=6)}, "/generate/stream", stream=True)
    times, last = [], {}
    async for last in answer["response"]:
        if "value" in last:
            times.append(time.monotonic())
    assert len(times) == 6
    assert times[-1] - times[0] > 0.3
    assert last["status"] == "success"


async def test_a_stream_has_previews(vast: Vast) -> None:
    """A stream has previews, because the worker knows the client before it submits the job."""
    answer = await vast.ask({"workflow": workflows.sampling()}, "/generate/stream", stream=True)
    assert "image/jpeg" in [event.get("mime") for event in [event async for event in answer["response"]]]


async def test_a_long_job_is_answered_before_the_client_gives_up_and_runs_once(vast: Vast) -> None:
    """A job longer than `worker_timeout` runs once, where the stock client would repeat it (T33)."""
    before = vast.log.read_text().count(" accepted")
    workflow = workflows.slow(2.0, steps=4)
    request = vast.endpoint.client.queue_endpoint_request(
        vast.endpoint, "/generate/sync", {"workflow": workflow}, worker_timeout=1.5, timeout=60
    )
    answer = await request
    job = answer["response"]
    assert (answer["status"], job["status"]) == (202, "pending")
    assert job["url"].split("//")[1] == answer["url"].split("//")[1]
    while answer["status"] == 202:
        await asyncio.sleep(0.2)
        answer = await vast.ask({"id": job["id"], "token": job["token"]}, "/result")
    assert answer["response"]["status"] == "success"
    assert vast.log.read_text().count(" accepted") - before == 1


async def test_result_cancel_and_events_need_no_router(vast: Vast) -> None:
    """Events, cancel and result work by plain POST with the id and the token."""
    accepted = (await vast.ask({"workflow": workflows.slow(20, steps=200)}, "/generate"))["response"]
    job_handle = {"id": accepted["id"], "token": accepted["token"]}
    assert (await vast.post("/result", json=job_handle))[0] == 202
    assert (await vast.post("/cancel", json=job_handle))[1] == {
        "id": accepted["id"],
        "cancelled": True,
        "status": "cancelled",
    }
    status, body = await vast.post("/result", json=job_handle)
    assert (status, body["error"]["code"]) == (499, "cancelled")
    url = vast.record.statuses[-1].url.replace("http://", "https://")
    context = await vast.endpoint.client.get_ssl_context()
    asked = {**job_handle, "last_event_id": 1}
    async with aiohttp.ClientSession() as http, http.post(f"{url}/events", json=asked, ssl=context) as response:
        assert response.content_type == "text/event-stream"
        events = await response.text()
    assert events.startswith("id: 2\n")
    assert "event: result" in events


async def test_a_delivery_can_be_repeated_without_the_router(vast: Vast) -> None:
    """`/deliver` reaches the gateway, whose error tells that nothing has to be delivered."""
    done = await vast.ask({"workflow": workflows.picture()}, "/generate")
    job_handle = {"id": done["response"]["id"], "token": done["response"]["token"]}
    while (await vast.post("/result", json=job_handle))[0] == 202:
        await asyncio.sleep(0.1)
    status, body = await vast.post("/deliver", json=job_handle)
    assert (status, body["error"]["code"]) == (409, "nothing_to_deliver")
    status, body = await vast.post("/deliver", json={**job_handle, "s3": {"bucket": "keyless"}})
    assert (status, body["error"]["code"]) == (400, "invalid_field")


@pytest.mark.parametrize("path", ["/result", "/cancel", "/events", "/deliver"])
async def test_the_token_is_the_authority(vast: Vast, path: str) -> None:
    """A job with another token looks like an unknown one, and an invalid handle names its field."""
    accepted = (await vast.ask({"workflow": workflows.picture()}, "/generate"))["response"]
    assert (await vast.post(path, json={"id": accepted["id"], "token": "guessed"}))[0] == 404
    assert (await vast.post(path, json={"id": accepted["id"]}))[0] == 400
    for job_id in ("../health", "..", "."):
        assert (await vast.post(path, json={"id": job_id, "token": "x"}))[0] == 400


@pytest.mark.parametrize("path", ["/session/create", "/session/end", "/session/get", "/session/health"])
async def test_what_the_sdk_adds_is_not_served(vast: Vast, path: str) -> None:
    """The SDK's session routes are not served (T24)."""
    body = {"auth_data": {"cost": 5}, "payload": {"lifetime": -1, "on_close_route": "http://127.0.0.1/"}}
    token = {"Authorization": f"Bearer {vast.local.master_token}"}
    status, answer = await vast.post(path, json=body, headers=token)
    assert (status, answer["error"]["code"]) == (403, "forbidden")


async def test_a_session_is_refused_once_and_forgotten_by_the_router(vast: Vast) -> None:
    """A session is rejected without a retry, and its number is reported as done."""
    with pytest.raises(Exception, match="not served"):
        await vast.endpoint.session(cost=7, timeout=5)
    number = vast.record.routed[-1][0]
    await vast.record.until(deleted(number))
    assert [idx for idx, _ in vast.record.routed].count(number) == 1
    status, answer = await vast.post(
        "/generate/sync", json={"auth_data": await vast.signed(), "session_id": "x", "payload": {}}
    )
    assert (status, answer["error"]["code"]) == (403, "forbidden")


async def test_unsigned_requests_are_not_reported(vast: Vast) -> None:
    """Missing, forged and foreign signatures get 401, and no report changes (T23, T27)."""
    grant = await vast.signed()
    elsewhere = "https://10.0.0.1:3000"
    other = Signer()
    forged = [
        {"payload": {}},
        {"auth_data": {**grant, "signature": other.sign(grant["url"])}, "payload": {}},
        {"auth_data": {**grant, "signature": "not base64"}, "payload": {}},
        {"auth_data": {**grant, "url": elsewhere, "signature": vast.local.sign(elsewhere)}, "payload": {}},
        {"auth_data": {**grant, "reqnum": "1"}, "payload": {}},
    ]
    for body in forged:
        status, answer = await vast.post("/generate/sync", json=body)
        assert (status, answer["error"]["code"]) == (401, "bad_signature")
    await asyncio.sleep(1.5)
    assert not deleted(grant["request_idx"])(vast.record)
    assert sum(told.rejected for told in vast.record.summaries()) == 0


async def test_a_body_is_read_up_to_the_limit(vast: Vast) -> None:
    """A body above the limit gets 413, with and without a Content-Length (T26)."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 65536

    assert (await vast.post("/generate/sync", data=io.BytesIO(b" " * (2**20 + 1))))[0] == 413
    assert (await vast.post("/generate/sync", data=pieces()))[0] == 413


@pytest.mark.parametrize("body", [b"{", b"[]", b"null"])
async def test_a_body_that_is_not_an_object_gets_400(vast: Vast, body: bytes) -> None:
    """A body that is not an object gets 400 with a reason (T20)."""
    status, answer = await vast.post("/generate/sync", data=body)
    assert (status, answer["error"]["code"]) == (400, "invalid_json")


async def test_a_body_that_is_not_encoded_as_it_says(vast: Vast) -> None:
    """A body that contradicts its encoding headers gets an error that is not retried."""
    status, body = await vast.post("/generate/sync", data=b"{}", headers={"Content-Encoding": "gzip"})
    assert (status, body["error"]["code"]) == (415, "unsupported_encoding")


async def test_an_invalid_payload_is_reported_as_done(vast: Vast) -> None:
    """A signed body with an invalid payload is rejected and reported as done."""
    answer = await vast.ask([1, 2])
    assert (answer["status"], answer["response"]["error"]["code"]) == (400, "invalid_json")
    await vast.record.until(deleted(answer["request_idx"]))


async def test_unknown_routes_answer_in_json(vast: Vast) -> None:
    """An unknown route gets 404 with our error body."""
    answer = await vast.ask({}, "/nothing/here")
    assert (answer["status"], answer["response"]["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_metrics_are_not_served_on_vasts_port(vast: Vast, method: str) -> None:
    """The public port has no metrics, with or without a token."""
    url = vast.local.record.statuses[-1].url.replace("http://", "https://")
    context = await vast.endpoint.client.get_ssl_context()
    for token in (METRICS_TOKEN, vast.local.master_token, ""):
        sent = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, f"{url}/metrics", ssl=context, headers=sent) as response,
        ):
            assert response.status == 404
            assert "comfy_worker_" not in await response.text()


async def test_the_metrics_count_what_comes_through_vast(vast: Vast) -> None:
    """The metrics count rejected requests of the ingress and the reports to the autoscaler."""
    await vast.post("/generate/sync", json={"payload": {}})
    sent = {"Authorization": f"Bearer {METRICS_TOKEN}"}
    async with aiohttp.ClientSession() as http, http.get(f"{vast.gateway}/metrics", headers=sent) as answer:
        page = await answer.text()
    assert answer.status == 200
    assert 'requests_refused_total{code="bad_signature",dialect="native",route="/generate/sync"}' in page
    assert 'comfy_worker_autoscaler_reports_total{result="taken"}' in page
    assert "comfy_worker_max_perf_units" in page


async def test_no_key_is_in_the_log(vast: Vast) -> None:
    """No log level writes the client's keys or the worker's token (T29)."""
    await vast.ask({"workflow": workflows.picture()})
    await asyncio.sleep(1.2)
    text = vast.log.read_text()
    assert "DEBUG" in text
    for secret in (vast.local.api_key, vast.local.endpoint_key, vast.local.master_token):
        assert secret[:16] not in text
    assert "api_key=" not in text


async def test_every_request_was_deleted_exactly_once(vast: Vast) -> None:
    """After all tests above, each routed request that reached the worker was reported as done once."""
    answers = [await vast.ask({"workflow": workflows.picture()}) for _ in range(3)]
    answers.append(await vast.ask({"workflow": workflows.failing()}))
    numbers = [answer["request_idx"] for answer in answers]
    for number in numbers:
        await vast.record.until(deleted(number))
    await asyncio.sleep(1.2)
    counts = [gone.request_idx for gone in vast.record.deletions]
    assert {number: counts.count(number) for number in set(counts)} == dict.fromkeys(set(counts), 1)
    assert set(numbers) <= set(counts)


async def test_a_repeated_request_is_one_job(vast: Vast) -> None:
    """A repeated payload with the same numbers attaches to its job; another payload does not."""
    auth = {**await vast.signed(), "cost": 1.0, "endpoint": "comfy"}
    body = {"auth_data": auth, "session_id": None, "payload": {"workflow": workflows.slow(0.4)}}
    first, second = await asyncio.gather(*(vast.post("/generate/sync", json=body) for _ in range(2)))
    after = await vast.post("/generate/sync", json=body)
    assert first[0] == 200
    assert first[1]["id"] == second[1]["id"] == after[1]["id"]
    other = await vast.post("/generate/sync", json={**body, "payload": {"workflow": workflows.picture()}})
    assert other[0] == 200
    assert other[1]["id"] != first[1]["id"]


async def test_a_cost_that_differs_is_counted(vast: Vast) -> None:
    """A client's cost that is not the units of its request is in the metrics, and one that is equal is not (T21)."""

    async def counted() -> float:
        headers = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        async with aiohttp.ClientSession() as http, http.get(f"{vast.gateway}/metrics", headers=headers) as answer:
            return metric(await answer.text(), "comfy_worker_client_cost_ratio_count")

    before, prompt = await counted(), workflows.picture()
    await vast.ask({"workflow": prompt}, cost=workload(prompt))
    assert await counted() == before
    await vast.ask({"workflow": workflows.picture()})  # with the client's default of 100
    assert await counted() == before + 1


def metric(text: str, name: str) -> float:
    """Return the value of a metric without labels."""
    return float(next((line.split()[-1] for line in text.splitlines() if line.startswith(name)), 0.0))
