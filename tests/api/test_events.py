"""The event stream of a job, and its resumption."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Client, bearer, worker
from tests.engines import EngineHandle, start_engine
from tests.workflows import failing, picture, sampling, slow
from worker.settings import PreviewMethod
from worker.sse import EventParser

Events = list[tuple[int, str, dict]]


async def read_events(answer: aiohttp.ClientResponse, limit: int = 10_000) -> Events:
    """Parse a stream into (id, name, data)."""
    parser = EventParser()
    events: Events = []
    async for piece in answer.content.iter_any():
        events += [(int(event.id), event.name, json.loads(event.data)) for event in parser.feed(piece)]
        if len(events) >= limit:
            break
    return events[:limit]


async def test_stream_tells_state_nodes_steps_outputs_and_result(client: Client) -> None:
    """Each event occurs once and in order. The last one is the response of the synchronous route."""
    async with client.http.post(client.app.url + "/generate/stream", json={"workflow": slow(0.2, steps=4)}) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        events = await read_events(answer)
    assert [number for number, _, _ in events] == list(range(1, len(events) + 1))
    names = [name for _, name, _ in events]
    assert names[0] == "accepted"
    assert names[-1] == "result"
    states = [data["state"] for _, name, data in events if name == "state"]
    assert states == ["preparing", "waiting", "generating", "delivering", "completed"]
    assert [data["value"] for _, name, data in events if name == "step"][-1] == 4
    assert "Pause" in [data["title"] for _, name, data in events if name == "node"]
    result = events[-1][2]
    assert (result["status"], result["image"]) == ("success", result["outputs"][0]["data"])


async def test_output_arrives_before_the_job_has_ended(client: Client) -> None:
    """An output event is sent when its node has finished, while later nodes still run."""
    workflow = slow(0.5)
    workflow["4"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "early"}}
    async with client.http.post(client.app.url + "/generate/stream", json={"workflow": workflow}) as answer:
        events = await read_events(answer)
    names = [name for _, name, _ in events]
    assert names.count("output") == 2
    assert names.index("output") < names.index("state", names.index("output"))


async def test_resume_after_the_last_event_id(client: Client) -> None:
    """A resumed stream has exactly the missed events. Only an event that is sent at once has an ETA."""
    _, job = await client.post("/generate", {"workflow": slow(0.4, steps=4)})
    url = f"{client.app.url}/jobs/{job['id']}/events"
    async with client.http.get(url, headers=bearer(job["token"])) as answer:
        first = await read_events(answer, limit=4)
    headers = bearer(job["token"]) | {"Last-Event-ID": str(first[-1][0])}
    async with client.http.get(url, headers=headers) as answer:
        rest = await read_events(answer)
    async with client.http.get(url, headers=bearer(job["token"])) as answer:
        whole = await read_events(answer)
    for _, _, data in (*first, *rest):
        data.pop("eta_s", None), data.pop("eta_p90_s", None)
    assert first + rest == whole
    assert whole[-1][1] == "result"


async def test_bad_last_event_id(client: Client) -> None:
    """An invalid `Last-Event-ID` is rejected."""
    _, job = await client.post("/generate", {"workflow": picture()})
    headers = bearer(job["token"]) | {"Last-Event-ID": "x"}
    async with client.http.get(f"{client.app.url}/jobs/{job['id']}/events", headers=headers) as answer:
        assert answer.status == 400


async def test_failed_job_ends_its_stream_with_the_error(client: Client) -> None:
    """The stream of a failed job ends with the error of the synchronous route."""
    async with client.http.post(client.app.url + "/generate/stream", json={"workflow": failing()}) as answer:
        events = await read_events(answer)
    assert events[-1][1] == "result"
    assert events[-1][2]["error"]["code"] == "node_failed"


async def test_sampler_previews_are_pictures(tmp_path: Path) -> None:
    """Previews are JPEG images with the id of the sampler."""
    workflow = {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "any.safetensors"}},
        "2": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["1", 1], "text": "a lighthouse"}},
        "3": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "4": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["1", 0],
                "positive": ["2", 0],
                "negative": ["2", 0],
                "latent_image": ["3", 0],
                "seed": 5,
                "steps": 3,
                "cfg": 7.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1.0,
            },
        },
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "preview"}},
    }
    with start_engine(tmp_path / "engine", "--preview-method", "auto") as engine:
        async with (
            worker(engine, tmp_path / "state") as client,
            client.http.post(client.app.url + "/generate/stream", json={"workflow": workflow}) as answer,
        ):
            events = await read_events(answer)
    previews = [data for _, name, data in events if name == "preview"]
    assert previews, [name for _, name, _ in events]
    assert all(data["node_id"] == "4" and data["mime"] == "image/jpeg" for data in previews)


async def methods(client: Client, engine: EngineHandle) -> list[str]:
    """Return the `preview_method` of each prompt in ComfyUI's history, oldest first."""
    async with client.http.get(f"{engine.url}/history") as answer:
        history = await answer.json()
    return [entry["prompt"][3].get("preview_method", "") for entry in history.values()]


async def test_previews_for_a_client_that_follows(client: Client, engine: EngineHandle) -> None:
    """Previews are made for a client of the stream, and not for one that waits for the result."""
    async with client.http.post(client.app.url + "/generate/stream", json={"workflow": sampling()}) as answer:
        events = await read_events(answer)
    previews = [data for _, name, data in events if name == "preview"]
    assert previews
    assert {preview["node_id"] for preview in previews} == {"13"}
    assert (await methods(client, engine))[-1] == "auto"
    _, job = await client.post("/generate", {"workflow": sampling()})
    await client.state(job, "completed")
    assert (await client.post("/generate/sync", {"workflow": sampling()}))[0] == 200
    assert (await methods(client, engine))[-1] == "none"


async def test_previews_for_a_client_that_follows_before_the_job_is_submitted(
    engine: EngineHandle, tmp_path: Path
) -> None:
    """Previews are made if a client opens the stream while the job waits."""
    async with worker(engine, tmp_path, queue_ahead=0) as client:
        _, first = await client.post("/generate", {"workflow": slow(0.5)})
        _, second = await client.post("/generate", {"workflow": sampling()})
        url = f"{client.app.url}/jobs/{second['id']}/events"
        async with client.http.get(url, headers=bearer(second["token"])) as answer:
            events = await read_events(answer)
        assert "preview" in [name for _, name, _ in events]
        assert (await methods(client, engine))[-2:] == ["none", "auto"]
        assert (await client.get(f"/jobs/{first['id']}", first["token"]))[0] == 200


@pytest.mark.parametrize("method", [PreviewMethod.TAESD, PreviewMethod.NONE])
async def test_the_operators_method_of_previews(engine: EngineHandle, tmp_path: Path, method: PreviewMethod) -> None:
    """ComfyUI gets the method of WORKER_PREVIEWS. With `none` there are no previews."""
    async with worker(engine, tmp_path, previews=method) as client:
        async with client.http.post(client.app.url + "/generate/stream", json={"workflow": sampling()}) as answer:
            names = [name for _, name, _ in await read_events(answer)]
        assert ("preview" in names) is (method is not PreviewMethod.NONE)
        assert (await methods(client, engine))[-1] == method.value
