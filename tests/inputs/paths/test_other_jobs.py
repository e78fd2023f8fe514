"""A job's folder in ComfyUI's input folder is hidden from other tenants while the job runs."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path
from typing import Any

import aiohttp
from pydantic import SecretStr

from tests.conftest import Client, bearer, worker
from tests.engines import EngineHandle
from tests.inputs.files import png
from tests.workflows import picture, slow
from worker.engine.client import ComfyClient
from worker.engine.protocol.messages import ExecutionError
from worker.engine.run import failure
from worker.job import new_folder
from worker.settings import ComfySettings
from worker.supervision import Tasks

TOKENS = {"ann": "a" * 32, "bob": "b" * 32}
JOB = re.compile(r"job-[0-9a-f]{32}", re.IGNORECASE)
LOADER = "LoadImageDataSetFromFolder"


def takes(folder: object) -> dict[str, Any]:
    saved = {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "bob"}}
    return {"5": {"class_type": LOADER, "inputs": {"folder": folder}}, "6": saved}


def folder_built_by_nodes(folder: str) -> dict[str, Any]:
    """Return a prompt in which nodes build the folder's name, through a switch that accepts any input."""
    joined = {"string_a": folder[:9], "string_b": folder[9:], "delimiter": ""}
    chosen = {"switch": True, "on_true": ["1", 0], "on_false": ["1", 0]}
    return takes(["2", 0]) | {
        "1": {"class_type": "StringConcatenate", "inputs": joined},
        "2": {"class_type": "ComfySwitchNode", "inputs": chosen},
    }


async def running_job(client: Client, engine: EngineHandle) -> str:
    """Start a job of Ann whose file is in the input folder, and yield the job's folder. On exit it is cancelled."""
    workflow = slow(60, steps=600) | {"7": {"class_type": "LoadImage", "inputs": {"image": "private.png"}}}
    workflow["8"] = {"class_type": "SaveImage", "inputs": {"images": ["7", 0], "filename_prefix": "ann"}}
    sent = {"id": "anns", "workflow": workflow, "inputs": {"private.png": base64.b64encode(png()).decode()}}
    status, body = await client.post("/generate", sent, **bearer(TOKENS["ann"]))
    assert status == 202, body
    while not (found := [path.name for path in engine.input.iterdir() if any(path.glob("private.png"))]):
        await asyncio.sleep(0.05)
    return found[0]


async def test_no_response_names_the_folder_and_no_link_opens_it(engine: EngineHandle, tmp_path: Path) -> None:
    """No error, catalog or other response contains the folder's name, and no workflow can read it."""
    tokens = ",".join(f"{name}={token}" for name, token in TOKENS.items())
    async with worker(engine, tmp_path, tokens=SecretStr(tokens)) as client:
        folder = await running_job(client, engine)
        async with aiohttp.ClientSession() as http, http.get(f"{engine.url}/object_info/{LOADER}") as response:
            assert folder in await response.text(), "the engine lists the folder, as ComfyUI does"
        bob = bearer(TOKENS["bob"])
        for workflow in (
            takes("nonsense"),
            takes("."),
            takes(folder),
            folder_built_by_nodes(folder),
            takes(["2", 0]) | picture(),
        ):
            for route in ("/validate", "/validate?strict=true", "/generate/sync"):
                status, body = await client.post(route, {"workflow": workflow}, **bob)
                names = set(JOB.findall(str(body))) - set(JOB.findall(str(workflow)))
                assert not names, (route, workflow, body)
                assert route != "/generate/sync" or status in {400, 422}, body
        for route in ("/capabilities", "/health", "/ready", "/queue-info", "/templates", "/openapi.json"):
            async with client.http.get(client.app.url + route, headers=bob) as response:
                assert not JOB.search(await response.text()), route
        async with client.http.delete(f"{client.app.url}/jobs/anns", headers=bearer(TOKENS["ann"])) as response:
            assert response.status == 200


async def test_an_input_that_lists_folders_is_recognised_without_jobs(engine: EngineHandle, tmp_path: Path) -> None:
    """The folder that the worker creates while it reads the catalog is removed, and is in no list of choices."""
    before = set(engine.input.iterdir())  # other tests use this engine, too
    async with worker(engine, tmp_path) as client:
        status, body = await client.post("/generate/sync", {"workflow": takes("plain")})
        assert (status, body["error"]["code"]) == (422, "file_not_allowed"), body
    assert not [path for path in engine.input.iterdir() if JOB.search(path.name) and path not in before]


async def test_the_catalog_hides_the_folder(engine: EngineHandle) -> None:
    """The catalog of a ComfyUI that lists the folder does not contain it, in inputs that accept files."""
    folder = engine.input / new_folder()
    folder.mkdir()
    try:
        async with Tasks() as tasks, ComfyClient(engine.url, ComfySettings(), tasks) as client:
            await client.socket.wait_until_open(10)
            catalog = await client.catalog()
            assert not JOB.search(str(catalog.object_info(LOADER)) + str(catalog[LOADER]))
    finally:
        folder.rmdir()


def test_the_error_of_a_node_hides_the_folder() -> None:
    """The error of a node contains the file's name without the folder."""
    message = f"No such file: '/comfy/input/job-{'0' * 32}/private.png'"
    error = failure(ExecutionError("p", "1", "Loader", "FileNotFoundError", message), {}, {})
    assert str(error).endswith("No such file: '/comfy/input/private.png'")
    assert not JOB.search(str(error.details))
