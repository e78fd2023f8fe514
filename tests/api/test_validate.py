"""Workflows are checked against the engine's catalog, on request and before every job."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.conftest import Client, shared_client, worker
from tests.engines import EngineHandle, start_engine
from tests.fetch.origin import content, opened, serving
from tests.models.files import safetensors
from tests.workflow.prompts import link, sampled
from tests.workflows import picture
from worker.app import build
from worker.errors import StartupError
from worker.load.workload import workload
from worker.platforms.base import Traits
from worker.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

DATA = safetensors(7000)


def workflow_with_errors() -> dict[str, Any]:
    """Return a workflow with three errors in three nodes, one of them behind another."""
    workflow: dict[str, Any] = {**sampled(steps=0, width=1)}
    workflow["8"]["inputs"]["vae"] = link("4", 1)
    return workflow


async def test_everything_is_told_at_once(client: Client) -> None:
    """The report has place, expectation, remedy and ComfyUI's type of each problem, and ComfyUI's own verdict."""
    status, body = await client.post("/validate", {"workflow": workflow_with_errors()})
    assert (status, body["valid"], body["doubtful"]) == (200, False, [])
    assert {(one["node_id"], one["input"], one["comfyui_type"]) for one in body["problems"]} == {
        ("3", "steps", "value_smaller_than_min"),
        ("5", "width", "value_smaller_than_min"),
        ("8", "vae", "return_type_mismatch"),
    }
    assert all(one["expected"] and one["suggestion"] and one["node_title"] for one in body["problems"])
    assert body["comfyui"] == {
        "status": 400,
        "error_type": "prompt_outputs_failed_validation",
        "node_errors": {one["node_id"]: [one["comfyui_type"]] for one in body["problems"]},
    }


async def test_a_good_workflow_comes_with_what_it_needs(client: Client) -> None:
    """The report of a valid workflow has its models and workload. Random integers are drawn before the check."""
    workflow = sampled()
    workflow["3"]["inputs"]["seed"] = "__RANDOM_INT__"
    _, body = await client.post("/validate", {"workflow": workflow})
    assert (body["valid"], body["problems"]) == (True, [])
    assert body["workload"] == pytest.approx(workload(sampled()))
    assert [(model["folder"], model["file"], model["nodes"], model["here"]) for model in body["models"]] == [
        ("checkpoints", "m.safetensors", ["4"], False)
    ]


async def test_the_body_of_a_job_is_taken_too(client: Client) -> None:
    """Any body of a job is accepted: a template with parameters, or another dialect."""
    _, body = await client.post("/validate", {"template": "sd15", "params": {"prompt": "a harbour"}})
    assert body["valid"], body
    _, body = await client.post("/validate", {"input": {"workflow_json": workflow_with_errors()}})
    assert len(body["problems"]) == 3


@pytest.mark.parametrize("workflow", [[], {}, {"1": {"class_type": "SaveImage"}}, {"nodes": [], "links": []}, None])
async def test_what_is_no_workflow_is_a_problem(client: Client, workflow: object) -> None:
    """An invalid workflow is 200 with a problem."""
    status, body = await client.post("/validate", {"workflow": workflow})
    assert (status, body["valid"], len(body["problems"])) == (200, False, 1)


async def test_without_an_engine_nobody_can_say(tmp_path: Path) -> None:
    """Without an engine the response is 503, because its classes are unknown."""
    settings = Settings.of(comfyui="http://127.0.0.1:9", port=0, state=tmp_path, engine_lost_s=0.2)
    async with build(settings) as app, aiohttp.ClientSession() as http:
        status, body = await Client(app, http).post("/validate", {"workflow": picture()})
    assert (status, body["error"]["code"]) == (503, "engine_unavailable")


async def test_a_bad_workflow_is_refused_before_it_is_queued(client: Client) -> None:
    """Every route rejects an invalid workflow with all its problems, and creates no job."""
    for path in ("/generate/sync", "/generate", "/generate/stream"):
        status, body = await client.post(path, {"workflow": workflow_with_errors()})
        assert (status, body["error"]["code"], body["id"]) == (422, "invalid_workflow", None)
        assert {detail["node_id"] for detail in body["error"]["details"]} == {"3", "5", "8"}
        assert all(detail["comfyui_type"] for detail in body["error"]["details"])
    workflow = picture() | {"9": {"class_type": "Nonsense", "inputs": {"a": ["77", 0]}}}
    _, body = await client.post("/generate", {"workflow": workflow})
    assert [detail["class_type"] for detail in body["error"]["details"]] == ["Nonsense", "Nonsense"]


async def test_a_repeated_id_finds_its_job(client: Client) -> None:
    """A repeated id returns the earlier job without another check."""
    first = await client.post("/generate/sync", {"workflow": picture(color=77), "id": "again"})
    assert await client.post("/generate/sync", {"workflow": picture(color=77), "id": "again"}) == first


@asynccontextmanager
async def strict(folder: Path, **given: Any) -> AsyncIterator[tuple[EngineHandle, Client]]:
    """A worker whose engine rejects models that it does not have."""
    with start_engine(folder / "engine", "--strict") as handle:
        async with worker(handle, folder / "state", models_folder=handle.base / "models", **given) as client:
            yield handle, client


def create_model(handle: EngineHandle, name: str = "m.safetensors") -> None:
    """Create a model file."""
    folder = handle.base / "models" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(DATA)


async def test_a_missing_model_is_named_until_it_is_there(tmp_path: Path) -> None:
    """A missing model is reported with folder and file. The same request runs once the file exists."""
    async with strict(tmp_path) as (handle, client):
        status, body = await client.post("/generate/sync", {"workflow": sampled()})
        (detail,) = body["error"]["details"]
        assert (status, body["error"]["code"], body["error"]["retryable_elsewhere"]) == (422, "models_missing", True)
        assert detail["message"] == "models/checkpoints has no file 'm.safetensors'."
        create_model(handle)
        assert (await client.post("/generate/sync", {"workflow": sampled()}))[0] == 200


async def test_the_catalog_of_a_new_life_counts(tmp_path: Path) -> None:
    """After a restart of the engine its new catalog is used."""
    async with strict(tmp_path) as (handle, client):
        create_model(handle)
        assert (await client.post("/validate", {"workflow": sampled()}))[1]["models"][0]["here"]
        before = client.app.engines.first.socket.connections
        handle.kill()
        shutil.rmtree(handle.base / "models")
        create_model(handle, "other.safetensors")
        handle.restart()
        async with asyncio.timeout(60):
            while client.app.engines.first.socket.connections == before:
                await asyncio.sleep(0.05)
        _, body = await client.post("/validate", {"workflow": sampled()})
        assert (body["valid"], body["models"][0]["here"]) == (False, False)
        workflow = sampled()
        workflow["4"]["inputs"]["ckpt_name"] = "other.safetensors"
        assert (await client.post("/validate", {"workflow": workflow}))[1]["valid"]


def template(folder: Path, url: str) -> str:
    """Return a folder of templates with one whose checkpoint has this URL."""
    folder.mkdir()
    (folder / "small.json").write_text(json.dumps(sampled()))
    sha256 = hashlib.sha256(DATA).hexdigest()
    (folder / "small.toml").write_text(
        'title = "Small"\nabout = "A."\noutputs = ["9"]\n'
        f'[[models]]\nfile = "m.safetensors"\nfolder = "checkpoints"\nurl = "{url}"\n'
        f'size = {len(DATA)}\nsha256 = "{sha256}"\n'
    )
    return str(folder)


async def test_missing_models_are_fetched_for_a_job(tmp_path: Path) -> None:
    """With on-demand models, missing models of a template are downloaded once for many jobs, and the jobs run."""
    async with serving(m=content(DATA)) as origin:
        templates = template(tmp_path / "templates", origin.url("/m"))
        allowed = {"templates": templates, "fetch_allow": opened(origin)}
        async with strict(tmp_path, models_on_demand=True, **allowed) as (handle, client):
            answers = await asyncio.gather(
                *(client.post("/generate/sync", {"workflow": sampled(steps=step)}) for step in (1, 2, 3))
            )
            assert [status for status, _ in answers] == [200] * 3
            assert (handle.base / "models" / "checkpoints" / "m.safetensors").read_bytes() == DATA
            workflow = sampled()
            workflow["4"]["inputs"]["ckpt_name"] = "unknown.safetensors"
            assert (await client.post("/generate/sync", {"workflow": workflow}))[1]["error"]["code"] == "models_missing"
        assert len(origin.requests) == 1


async def test_a_job_does_not_wait_for_its_models_longer_than_the_platform_allows(tmp_path: Path) -> None:
    """A request gets 503 before the platform's limit, and the download continues."""
    gate = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return web.Response(body=DATA)

    async with serving(m=answer) as origin:
        allowed = {"templates": template(tmp_path / "templates", origin.url("/m")), "fetch_allow": opened(origin)}
        async with strict(tmp_path, traits=Traits(sync_limit_s=0.3), models_on_demand=True, **allowed) as (_, client):
            status, body = await client.post("/generate/sync", {"workflow": sampled()})
            assert (status, body["error"]["code"]) == (503, "models_coming")
            gate.set()
            async with asyncio.timeout(60):
                while (await client.post("/generate/sync", {"workflow": sampled()}))[0] == 503:
                    await asyncio.sleep(0.1)
        assert len(origin.requests) == 1


def drawn_workflow(url: str) -> dict[str, Any]:
    """Return a file of the editor with a download for its model."""
    model = {"name": "a.pth", "url": url, "directory": "upscale_models"}
    loader = {"id": 1, "type": "UpscaleModelLoader", "mode": 0, "inputs": [], "widgets_values": ["a.pth"]}
    loader |= {"properties": {"models": [model]}, "outputs": [{"name": "UPSCALE_MODEL", "links": [1]}]}
    shown = {"id": 2, "type": "PreviewAny", "mode": 0, "inputs": [{"name": "source", "type": "*", "link": 1}]}
    return {"nodes": [loader, {**shown, "outputs": []}], "links": [[1, 1, 0, 2, 0, "*"]], "version": 0.4}


async def test_a_job_brings_no_download_of_its_own(tmp_path: Path) -> None:
    """The report names downloads of a workflow, but a job triggers only downloads of the operator's templates."""
    async with serving(m=content(DATA)) as origin:
        workflow = drawn_workflow(origin.url("/m"))
        async with strict(tmp_path, models_on_demand=True, fetch_allow=opened(origin)) as (_, client):
            _, body = await client.post("/validate", {"workflow": workflow})
            assert [model["url"] for model in body["models"]] == [origin.url("/m")]
            assert origin.url("/m") in body["problems"][0]["suggestion"]
            status, body = await client.post("/generate/sync", {"workflow": workflow})
            assert (status, body["error"]["code"]) == (422, "models_missing")
        assert origin.requests == []


async def test_what_cannot_be_converted_is_a_problem(client: Client) -> None:
    """A workflow that cannot be converted is a problem with the reason, without ComfyUI's verdict."""
    workflow = {"nodes": [{"id": 7, "type": "SaveImagge"}], "links": []}
    status, body = await client.post("/validate", {"workflow": workflow})
    assert (status, body["valid"], body["comfyui"]) == (200, False, None)
    assert [(problem["node_id"], problem["code"]) for problem in body["problems"]] == [("7", "cannot_convert")]


async def test_a_model_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    """A wrong file at the URL of a model ends the request with the reason."""
    async with serving(m=content(b"another")) as origin:
        templates = template(tmp_path / "templates", origin.url("/m"))
        allowed = {"templates": templates, "fetch_allow": opened(origin)}
        async with strict(tmp_path, models_on_demand=True, **allowed) as (_, client):
            status, body = await client.post("/generate/sync", {"workflow": sampled()})
            assert (status, body["error"]["code"]) == (422, "models_missing")
            assert "7 bytes instead of" in body["error"]["details"][0]["message"]


async def test_the_templates_models_come_before_the_worker_is_ready(tmp_path: Path) -> None:
    """The worker is ready after the models of WORKER_MODELS are complete. Until then it reports progress."""
    gate = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return web.Response(body=DATA)

    async with serving(m=answer) as origin:
        templates = template(tmp_path / "templates", origin.url("/m"))
        with start_engine(tmp_path / "engine", "--strict") as handle:
            settings = Settings.of(
                comfyui=handle.url,
                comfyui_output=handle.output,
                comfyui_input=handle.input,
                port=0,
                state=tmp_path / "state",
                models_folder=handle.base / "models",
                models="small",
                templates=templates,
                fetch_allow=opened(origin),
            )
            async with build(settings) as app, aiohttp.ClientSession() as http:
                client = Client(app, http)
                await app.engines.first.socket.wait_until_open(5)
                status, body = await client.get("/ready")
                assert (status, body["error"]["code"]) == (503, "models_coming")
                assert "0 of 1 model files" in body["error"]["message"]
                status, body = await client.post("/generate/sync", {"workflow": sampled()})
                assert (status, body["error"]["code"], body["error"]["retryable"]) == (503, "models_coming", True)
                gate.set()
                await asyncio.wait_for(app.ready(), 60)
                assert (await client.get("/ready"))[0] == 200
                assert (await client.post("/generate/sync", {"workflow": sampled()}))[0] == 200


async def test_an_unknown_template_is_told_at_the_start(tmp_path: Path) -> None:
    """An unknown name in WORKER_MODELS stops the start with the known names."""
    with pytest.raises(StartupError, match="no template 'nope'"):
        async with build(Settings.of(comfyui="http://127.0.0.1:9", port=0, state=tmp_path, models="nope")):
            pass
