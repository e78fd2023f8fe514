"""`POST /validate?strict=true` returns ComfyUI's own verdict, with the files that it would find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp

from tests.conftest import Client, worker
from tests.engines import start_engine
from tests.workflow.prompts import node, saved


def loaded(name: str) -> dict[str, Any]:
    """Return a workflow that loads this file."""
    return {"1": node("LoadImage", image=name), "2": saved("1")}


async def verdict(client: Client, body: dict[str, Any], query: str = "?strict=true") -> Any:
    """Return the report for a workflow."""
    status, found = await client.post(f"/validate{query}", body)
    assert status == 200
    return found["comfyui"]


async def test_files_are_looked_for_where_comfyui_looks(tmp_path: Path) -> None:
    """An image that does not exist is a problem. It is valid once it exists or is sent with the request."""
    with start_engine(tmp_path / "engine", "--strict") as handle:
        async with worker(handle, tmp_path / "state") as client:
            refused = await verdict(client, {"workflow": loaded("sub/later.png")})
            assert (refused["status"], refused["node_errors"]) == (400, {"1": ["custom_validation_failed"]})
            assert (await verdict(client, {"workflow": loaded("sub/later.png")}, ""))["status"] == 200
            (handle.input / "sub").mkdir()
            (handle.input / "sub" / "later.png").touch()
            assert (await verdict(client, {"workflow": loaded("sub/later.png")}))["status"] == 200
            own = await handle_answer(handle.url, loaded("sub/nothing.png"))
            assert own == await verdict(client, {"workflow": loaded("sub/nothing.png")})


async def handle_answer(url: str, prompt: dict[str, Any]) -> dict[str, Any]:
    """Return ComfyUI's response to `POST /prompt`, in the form of the worker's verdict."""
    async with aiohttp.ClientSession() as http, http.post(f"{url}/prompt", json={"prompt": prompt}) as answer:
        said = await answer.json()
    errors = {
        node_id: sorted(error["type"] for error in entry["errors"]) for node_id, entry in said["node_errors"].items()
    }
    return {"status": answer.status, "error_type": said["error"]["type"], "node_errors": errors}


async def test_a_file_that_the_request_brings_is_there(tmp_path: Path) -> None:
    """An image of the request is not missing, in a strict verdict and in a strict job."""
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    body = {"workflow": loaded("mine.png"), "inputs": {"mine.png": dot}, "strict": True}
    with start_engine(tmp_path / "engine", "--strict") as handle:
        async with worker(handle, tmp_path / "state") as client:
            assert (await client.post("/generate/sync", body))[0] == 200
            assert (await verdict(client, body))["status"] == 200
            assert (await verdict(client, {"workflow": loaded("mine.png")}))["status"] == 400
