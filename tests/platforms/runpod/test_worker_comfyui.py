"""A request of worker-comfyui has the same result through the queue and on the worker's own port."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.api.runpod.test_routes import REJECTED
from tests.conftest import worker
from tests.engines import EngineHandle
from tests.inputs.files import loading, png
from tests.media_facts.test_answers import WORKFLOW
from tests.platforms.runpod.gateway import Gateway, running_gateway
from tests.platforms.runpod.workers import queue_worker, settings_for
from tests.workflows import failing, picture

PNG = base64.b64encode(png()).decode()
REQUESTS: dict[str, Any] = {
    "a workflow": {"workflow": picture(color=11)},
    "JSON text": json.dumps({"workflow": picture(color=12)}),
    "an image": {"workflow": loading("a.png"), "images": [{"name": "a.png", "image": PNG}]},
    "a data URI": {
        "workflow": loading("b.png"),
        "images": [{"name": "b.png", "image": f"data:image/png;base64,{PNG}"}],
    },
    "a failing node": {"workflow": failing()},
    "videos and sound": {"workflow": WORKFLOW},
    "no picture": {"workflow": {"1": {"class_type": "PreviewAny", "inputs": {"source": "a text"}}}},
    **{name: body["input"] for name, (body, _) in REJECTED.items() if isinstance(body, dict) and body.get("input")},
}
NAMES = {"filename", "subfolder", "type", "data"}


async def test_the_queue_and_the_own_port_agree(engine: EngineHandle, tmp_path: Path) -> None:
    """Each request has the same fields, files and error in `job-done` and in the response of `/runsync`."""
    async with worker(engine, tmp_path / "own") as client:
        own = {name: (await client.post("/runsync", {"input": given}))[1] for name, given in REQUESTS.items()}
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path / "queue")):
        for name, given in REQUESTS.items():
            result = await through_queue(gateway, name, given)
            assert shape(result) == shape(own[name]), name


async def through_queue(gateway: Gateway, name: str, given: Any) -> dict[str, Any]:
    """Return the result that the queue gets for an input."""
    job_id = f"sync-{list(REQUESTS).index(name)}-e1"
    gateway.send(job_id, input=given)
    found: dict[str, Any] = await gateway.result(job_id)
    return found


def shape(result: dict[str, Any]) -> dict[str, Any]:
    """Return what two runs of a request have in common: error, status, code, texts, and the files of each field."""
    output = result.get("output") or {}
    files = {
        field: [
            (Path(item["filename"]).suffix, item["type"], set(item) <= NAMES and bool(item["data"])) for item in items
        ]
        for field, items in output.items()
        if field in {"images", "videos", "audio", "files"}
    }
    kept = {field: output.get(field) for field in ("status", "texts", "details")}
    return {"error": result.get("error"), "code": output.get("error_info", {}).get("code"), "files": files, **kept}


@pytest.mark.parametrize("name", ["a workflow", "an image", "a data URI"])
async def test_clients_that_decode_all_images_work(engine: EngineHandle, tmp_path: Path, name: str) -> None:
    """A client that opens everything under `images` as a picture succeeds."""
    async with worker(engine, tmp_path) as client:
        _, body = await client.post("/runsync", {"input": REQUESTS[name]})
    for image in body["output"]["images"]:
        with Image.open(io.BytesIO(base64.b64decode(image["data"]))) as found:
            found.load()


async def test_nothing_made_is_a_success_without_images(engine: EngineHandle, tmp_path: Path) -> None:
    """A workflow without a picture has worker-comfyui's status, an empty list, and its text beside it."""
    async with worker(engine, tmp_path) as client:
        _, body = await client.post("/runsync", {"input": REQUESTS["no picture"]})
    assert body["output"] | {"repairs": [], "warnings": []} == {
        "images": [],
        "status": "success_no_images",
        "texts": [{"node_id": "1", "text": "a text"}],
        "repairs": [],
        "warnings": [],
    }
