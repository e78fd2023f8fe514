"""RunPod's routes of the proxy: the same shapes as those of a worker, in front of any backend."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.api.runpod.test_routes import REJECTED
from tests.conftest import worker
from tests.engines import EngineHandle
from tests.handlers.apps import write_app
from tests.observers.receiver import receiver
from tests.proxy.running import ProxyClient, proxy
from tests.simulators.runpod.sdk.programs import run_program, sdk_python, sdk_versions
from tests.workflows import failing, picture, slow
from worker.proxy.callers import key_hash

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS = Path(__file__).parents[1] / "api" / "runpod"
ANN, BOB = "cwp_ann-0123456789", "cwp_bob-0123456789"
PREFIXES = ["", "/v2/any-endpoint"]
NOWHERE = "http://127.0.0.1:9"


def with_callers(url: str) -> str:
    """Return a configuration with one backend and two callers."""
    callers = "".join(
        f'[[callers]]\nname = "{name}"\nkey_sha256 = "{key_hash(key.encode())}"\n'
        for name, key in (("ann", ANN), ("bob", BOB))
    )
    return f'[[backends]]\nname = "own"\nurl = "{url}"\n{callers}'


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProxyClient]:
    """A proxy in front of one worker."""
    folder = tmp_path_factory.mktemp("proxy")
    async with worker(engine, folder / "worker") as backend, proxy(folder / "proxy", backend.app.url) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyed(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ProxyClient]:
    """A proxy with two callers in front of one worker."""
    folder = tmp_path_factory.mktemp("keyed")
    async with (
        worker(engine, folder / "worker") as backend,
        proxy(folder / "proxy", toml=with_callers(backend.app.url)) as found,
    ):
        yield found


async def in_status(client: ProxyClient, path: str, *statuses: str) -> dict:
    """Wait until the job at a status path has one of these statuses, and return its status object."""
    async with asyncio.timeout(60):
        while True:
            status, body = await client.get(path)
            assert status == 200, body
            if body["status"] in statuses:
                return body
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_runsync_returns_the_output(client: ProxyClient, prefix: str) -> None:
    """`/runsync` returns RunPod's status object with worker-comfyui's output, and the result is kept."""
    status, body = await client.post(f"{prefix}/runsync", {"input": {"workflow": picture()}})
    assert (status, body["status"]) == (200, "COMPLETED"), body
    assert body["id"].startswith("sync-")
    assert body["delayTime"] >= 0
    assert body["executionTime"] >= 0
    assert body["output"]["images"][0]["data"].startswith("iVBOR")
    assert await client.get(f"{prefix}/status/{body['id']}") == (200, body)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_run_is_followed_by_its_id(client: ProxyClient, prefix: str) -> None:
    """`/run` returns an id, and its result can be read by all routes for jobs."""
    status, accepted = await client.post(f"{prefix}/run", {"input": {"workflow": picture()}})
    assert (status, accepted["status"], set(accepted)) == (200, "IN_QUEUE", {"id", "status"})
    first = await in_status(client, f"{prefix}/status/{accepted['id']}", "COMPLETED")
    assert await client.post(f"{prefix}/status/{accepted['id']}", {}) == (200, first)
    assert await client.get(f"{prefix}/status-sync/{accepted['id']}") == (200, first)
    assert await client.get(f"{prefix}/stream/{accepted['id']}") == (200, {"status": "COMPLETED", "stream": []})


async def test_a_large_output_is_whole(client: ProxyClient) -> None:
    """A result that is kept in a file is sent in pieces, and is valid JSON."""
    big = {"1": {"class_type": "EmbeddedBigFile", "inputs": {"mebibytes": 3, "filename_prefix": "big"}}}
    _, body = await client.post("/runsync", {"input": {"workflow": big}})
    files = [*body["output"]["images"], *body["output"].get("files", [])]
    assert [len(base64.b64decode(file["data"])) for file in files] == [3 * 1024 * 1024]


async def test_cancel_stops_a_running_job(client: ProxyClient) -> None:
    """`/cancel` stops the job at its backend, and the status is CANCELLED."""
    _, job = await client.post("/v2/x/run", {"input": {"workflow": slow(60, steps=600)}})
    await in_status(client, f"/v2/x/status/{job['id']}", "IN_PROGRESS")
    assert await client.post(f"/v2/x/cancel/{job['id']}", {}) == (200, {"id": job["id"], "status": "CANCELLED"})
    await in_status(client, f"/v2/x/status/{job['id']}", "CANCELLED")
    assert (await client.post(f"/v2/x/cancel/{job['id']}", {}))[1]["status"] == "CANCELLED"


async def test_cancel_of_a_job_of_another_route_keeps_its_form(client: ProxyClient) -> None:
    """`POST /cancel/{id}` with the token of a job has the response of the stock template."""
    _, job = await client.post("/generate", {"workflow": slow(60, steps=600)})
    _, body = await client.post(f"/cancel/{job['id']}", {}, Authorization=f"Bearer {job['token']}")
    assert (body["cancelled"], body["status"]) == (True, "cancelled")


async def test_a_wait_that_ends_returns_the_id(client: ProxyClient) -> None:
    """After `?wait=`, the response has the id of a job that goes on, and status-sync waits for it."""
    _, body = await client.post("/runsync?wait=1000", {"input": {"workflow": slow(2, steps=20)}})
    assert (body["status"], set(body)) == ("IN_PROGRESS", {"id", "status"})
    _, found = await client.get(f"/status-sync/{body['id']}?wait=20000")
    assert (found["status"], found["id"]) == ("COMPLETED", body["id"])
    status, refused = await client.post("/runsync?wait=900", {"input": {"workflow": picture()}})
    assert (status, refused["error"]["code"]) == (400, "invalid_field")


async def test_a_client_that_leaves_cancels_nothing(client: ProxyClient) -> None:
    """As at RunPod, a job of `/runsync` goes on when its client has left."""
    before = (await client.get("/v2/x/health"))[1]["jobs"]["completed"]
    request = asyncio.create_task(client.post("/runsync", {"input": {"workflow": slow(1, steps=10)}}))
    async with asyncio.timeout(30):
        while not client.app.jobs.index.open_of("local"):
            await asyncio.sleep(0.02)
    request.cancel()
    async with asyncio.timeout(60):
        while (await client.get("/v2/x/health"))[1]["jobs"]["completed"] == before:
            await asyncio.sleep(0.1)


async def test_a_job_that_fails_has_worker_comfyuis_error(client: ProxyClient) -> None:
    """A node that fails gives FAILED, with the cause in `error_info`, and no second `error` in the output."""
    _, body = await client.post("/runsync", {"input": {"workflow": failing()}})
    assert (body["status"], body["error"]) == ("FAILED", "Job processing failed")
    assert body["output"]["error_info"]["code"] == "node_failed"
    assert "error" not in body["output"]


async def test_the_policy_limits_the_run(client: ProxyClient) -> None:
    """`policy.executionTimeout` ends the job, whose status is TIMED_OUT."""
    request = {"input": {"workflow": slow(60, steps=600)}, "policy": {"executionTimeout": 1000, "ttl": 60_000}}
    _, body = await client.post("/runsync", request)
    assert (body["status"], body["output"]["error_info"]["code"]) == ("TIMED_OUT", "timeout")


@pytest.mark.parametrize("form", [form for form in REJECTED if form != "a list"])
async def test_an_input_that_cannot_run_has_worker_comfyuis_message(client: ProxyClient, form: str) -> None:
    """`/runsync` returns a job that has failed, and `/run` an HTTP error, both with worker-comfyui's message."""
    request, message = REJECTED[form]
    status, body = await client.post("/runsync", request)
    assert (status, body["status"], body["error"]) == (200, "FAILED", message), body
    assert body["output"]["error_info"]["fault"] == "client"
    status, body = await client.post("/run", request)
    assert (status, body["error"], body["error_info"]["fault"]) == (400, message, "client"), body


async def test_input_may_be_json_text(client: ProxyClient) -> None:
    """`input` as JSON text runs."""
    _, body = await client.post("/runsync", {"input": json.dumps({"workflow": picture()})})
    assert body["status"] == "COMPLETED", body


async def test_only_the_id_of_the_response_shows_a_job(client: ProxyClient) -> None:
    """Without keys, the job of another route is not shown by its id alone, and an unknown id is 404."""
    _, other = await client.post("/generate", {"workflow": picture(), "id": "guessable"})
    for job_id in (other["id"], "guessable", "00000000-0000-0000-0000-000000000000-u1"):
        assert (await client.get(f"/status/{job_id}"))[0] == 404
        assert (await client.get(f"/stream/{job_id}"))[0] == 404
        assert (await client.post(f"/cancel/{job_id}", {}))[0] == 404


async def test_keys_are_required_and_separate_callers(keyed: ProxyClient) -> None:
    """The routes need a key, as Bearer, bare or in `X-Worker-Token`, and a caller sees its own jobs only."""
    request = {"input": {"workflow": picture()}}
    for path in ("/run", "/runsync", "/purge-queue", "/v2/x/run"):
        assert (await keyed.post(path, request))[0] == 401, path
    for headers in (
        {"Authorization": f"Bearer {ANN}"},
        {"Authorization": ANN},
        {"Authorization": "Bearer rpa_key_of_the_platform", "X-Worker-Token": ANN},
    ):
        _, body = await keyed.post("/runsync", request, **headers)
        assert body["status"] == "COMPLETED", headers
    assert (await keyed.get(f"/status/{body['id']}"))[0] == 401
    assert (await keyed.get(f"/status/{body['id']}", BOB))[0] == 404
    assert (await keyed.get(f"/status/{body['id']}", ANN))[1]["status"] == "COMPLETED"
    assert (await keyed.post(f"/cancel/{body['id']}", {}, Authorization=f"Bearer {BOB}"))[0] == 404
    assert (await keyed.get("/v2/x/health"))[0] == 401


async def test_purge_removes_the_callers_jobs_that_wait(keyed: ProxyClient) -> None:
    """`/purge-queue` cancels the jobs of its caller that wait, and not the one that runs."""
    ann, bob = {"Authorization": ANN}, {"Authorization": BOB}
    long = {"input": {"workflow": slow(60, steps=600)}}
    running = (await keyed.post("/run", long, **ann))[1]["id"]
    async with asyncio.timeout(30):
        while (await keyed.get(f"/status/{running}", ANN))[1]["status"] != "IN_PROGRESS":
            await asyncio.sleep(0.05)
    waiting = [(await keyed.post("/run", long, **ann))[1]["id"] for _ in range(2)]
    of_bob = (await keyed.post("/run", long, **bob))[1]["id"]
    assert (await keyed.post("/purge-queue", {}, **ann))[1] == {"removed": 2, "status": "completed"}
    assert [(await keyed.get(f"/status/{job}", ANN))[1]["status"] for job in waiting] == ["CANCELLED"] * 2
    assert (await keyed.get(f"/status/{running}", ANN))[1]["status"] == "IN_PROGRESS"
    assert (await keyed.get(f"/status/{of_bob}", BOB))[1]["status"] == "IN_QUEUE"
    for job, key in ((of_bob, bob), (running, ann)):
        assert (await keyed.post(f"/cancel/{job}", {}, **key))[1]["status"] == "CANCELLED"


async def test_no_backend_is_an_error_of_run_and_a_failed_job_of_runsync(tmp_path: Path) -> None:
    """A proxy whose backend does not respond returns its error in RunPod's form, and health counts the backend."""
    request = {"input": {"workflow": picture()}}
    async with proxy(tmp_path, NOWHERE) as client:
        status, body = await client.post("/run", request)
        assert (status, body["error_info"]["code"]) == (503, "no_backend"), body
        status, body = await client.post("/runsync", request)
        assert (status, body["status"], body["output"]["error_info"]["code"]) == (200, "FAILED", "no_backend")
        assert (await client.get("/v2/x/health"))[1]["workers"]["unhealthy"] == 1


async def test_a_job_survives_a_restart(engine: EngineHandle, tmp_path: Path) -> None:
    """The status of a job of `/run` is known to the next process, whose job it is also while it runs."""
    async with worker(engine, tmp_path / "worker") as backend:
        async with proxy(tmp_path / "proxy", backend.app.url) as client:
            _, ended = await client.post("/runsync", {"input": {"workflow": picture()}})
            _, running = await client.post("/run", {"input": {"workflow": slow(2, steps=20)}})
        async with proxy(tmp_path / "proxy", backend.app.url) as client:
            assert (await client.get(f"/status/{ended['id']}"))[1]["output"] == ended["output"]
            body = await in_status(client, f"/status/{running['id']}", "COMPLETED")
            assert body["output"]["images"]


async def test_a_webhook_has_the_id_of_the_response(engine: EngineHandle, tmp_path: Path) -> None:
    """`webhook` beside `input` receives a status object with the id that the client has, from the backend."""
    async with (
        receiver() as hook,
        worker(engine, tmp_path / "worker", fetch_allow=hook.opened) as backend,
        proxy(tmp_path / "proxy", backend.app.url) as client,
    ):
        _, job = await client.post("/run", {"input": {"workflow": picture()}, "webhook": hook.url})
        [message] = await hook.messages(1)
        ended = await in_status(client, f"/status/{job['id']}", "COMPLETED")
    assert message.json["id"] == job["id"]
    assert (message.json["status"], message.json["output"]) == (ended["status"], ended["output"])


async def test_a_handler_is_called_through_input(engine: EngineHandle, tmp_path: Path) -> None:
    """`{"input": {"handler": NAME, "arguments": {...}}}` calls it, and the output is what it returns."""
    app = write_app(tmp_path / "app")
    call = {"input": {"handler": "greet", "arguments": {"name": "Ada", "times": 2}}}
    async with (
        worker(engine, tmp_path / "worker", handlers=app, handlers_port=0) as backend,
        proxy(tmp_path / "proxy", backend.app.url) as client,
    ):
        plain = await client.post("/handlers/greet", call["input"]["arguments"])
        _, body = await client.post("/v2/x/runsync", call)
        _, unknown = await client.post("/v2/x/runsync", {"input": {"handler": "nobody"}})
    assert (plain[0], body["status"], body["output"]) == (200, "COMPLETED", plain[1])
    assert (unknown["status"], unknown["output"]["error_info"]["code"]) == ("FAILED", "unknown_handler")


@pytest.mark.parametrize("version", sdk_versions())
async def test_the_python_client(keyed: ProxyClient, version: str, tmp_path: Path) -> None:
    """RunPod's Python client, unchanged, runs, follows and cancels jobs at the proxy."""
    environ = {
        **{"PATH": os.defpath, "HOME": str(tmp_path), "RUNPOD_API_KEY": ANN},
        "RUNPOD_ENDPOINT_BASE_URL": f"{keyed.url}/v2",
    }
    workflows = json.dumps(picture()), json.dumps(slow(60, steps=600))
    command = [str(sdk_python(version)), str(CLIENTS / "python_client.py"), *workflows]
    results = await run_program(command, environ, tmp_path)
    assert results.pop("failed")["error_info"]["code"] == "invalid_workflow"
    assert results == {
        "waited": ["base64"],
        "followed": ["base64"],
        "running": "IN_PROGRESS",
        "cancelled": "CANCELLED",
        "health": ["jobs", "workers"],
        "purged": {"removed": 0, "status": "completed"},
        "asynchronous": ["base64"],
    }
