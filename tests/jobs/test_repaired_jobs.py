"""Tests of repairs and seeds: a job runs the repaired prompt, and each response lists the repairs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.api.test_events import read_events
from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.observers.receiver import receiver
from tests.workflow.prompts import node, sampled
from tests.workflows import drawn, failing, picture


def small(**changed: Any) -> dict[str, Any]:
    """Return a workflow without cost, with other inputs of its sampler."""
    prompt: dict[str, Any] = {**sampled(1, width=64, height=64)}
    prompt["3"]["inputs"] |= {"seed": -1, **changed}
    return prompt


def randomized(mode: str = "randomize", seed: int = 7) -> dict[str, Any]:
    """Return an editor's workflow with a seed of this control mode."""
    nodes = [
        {"id": 1, "type": "PrimitiveInt", "widgets_values": [seed, mode], "outputs": [{"type": "INT", "links": [1]}]},
        {"id": 2, "type": "PreviewAny", "widgets_values": [], "inputs": [{"name": "source", "type": "*", "link": 1}]},
    ]
    return {"nodes": nodes, "links": [[1, 1, 0, 2, 0, "INT"]], "version": 0.4}


def ran(body: dict[str, Any]) -> int:
    return int(body["outputs"][0]["text"])


async def test_a_seed_is_drawn_for_each_job(client: Client) -> None:
    """Each job draws its seed, and the response lists it with the repairs."""
    seeds = set()
    for _ in range(2):
        status, body = await client.post("/generate/sync", {"workflow": small()})
        assert status == 200, body
        [seed] = body["metadata"]["seeds"]
        assert (seed["node_id"], seed["input"]) == ("3", "seed")
        [one] = body["repairs"]
        assert (one["code"], one["node_id"], one["input"], one["sent"]) == ("seed_drawn", "3", "seed", -1)
        assert one["runs"] == seed["value"]
        seeds.add(seed["value"])
    assert len(seeds) == 2


@pytest.mark.parametrize("field", ["workflow", "workflow_json"])
async def test_the_other_dialects_list_them_too(client: Client, field: str) -> None:
    """The dialects of RunPod and Vast list repairs and seeds, if there are any."""
    _, plain = await client.post("/generate/sync", {"input": {field: small(seed=1)}})
    status, body = await client.post("/generate/sync", {"input": {field: small()}})
    assert status == 200, body
    assert body.keys() - plain.keys() == {"repairs", "seeds"}
    assert body["repairs"][0]["runs"] == body["seeds"][0]["value"]
    for option in ("strict", "keep_seeds"):
        status, _ = await client.post("/generate/sync", {"input": {field: small(), option: True}})
        assert status == 422


async def test_every_way_to_ask_lists_them(engine: EngineHandle, tmp_path: Path) -> None:
    """The 202 response, the job's route, the last event and the webhook list repairs."""
    async with receiver() as server, worker(engine, tmp_path, fetch_allow=server.opened) as client:
        hook = {"url": server.url}
        status, job = await client.post("/generate", {"workflow": small(cfg=None), "webhook": hook})
        assert status == 202
        codes = [one["code"] for one in job["repairs"]]
        assert sorted(codes) == ["input_missing", "seed_drawn"]
        [message] = await server.messages(1)
        assert message.json["data"]["repairs"] == job["repairs"]
        _, body = await client.get(f"/jobs/{job['id']}", job["token"])
        assert (body["status"], body["repairs"]) == ("success", job["repairs"])
        async with client.http.post(client.app.url + "/generate/stream", json={"workflow": small()}) as answer:
            events = await read_events(answer)
        assert [one["code"] for one in events[-1][2]["repairs"]] == ["seed_drawn"]
        stock = {"request_id": "hooked", "workflow_json": small(), "webhook": hook}
        await client.post("/generate/sync", {"input": stock})
        messages = await server.messages(2)
        assert [one["code"] for one in messages[-1].json["repairs"]] == ["seed_drawn"]


async def test_the_same_id_is_the_same_job(engine: EngineHandle, tmp_path: Path) -> None:
    """A repeated request returns the first job's seeds, also after a restart."""
    request = {"workflow": small(), "id": "mine"}
    async with worker(engine, tmp_path) as client:
        _, first = await client.post("/generate/sync", request)
        assert (await client.post("/generate/sync", request))[1] == first
    async with worker(engine, tmp_path) as client:
        _, again = await client.post("/generate/sync", request)
    assert (again["repairs"], again["metadata"]["seeds"]) == (first["repairs"], first["metadata"]["seeds"])


async def test_a_failed_job_lists_them(client: Client) -> None:
    """The response of a failed job lists repairs."""
    workflow = failing() | {"7": node("Note", text="hi")}
    _, body = await client.post("/generate/sync", {"workflow": workflow})
    assert (body["status"], [one["code"] for one in body["repairs"]]) == ("error", ["editor_node"])


async def test_the_editors_randomize(client: Client) -> None:
    """`randomize` draws a seed for each job, but not with `keep_seeds`, strict or another mode."""
    fresh = set()
    for _ in range(2):
        _, body = await client.post("/generate/sync", {"workflow": randomized()})
        assert body["metadata"]["seeds"] == [{"node_id": "1", "input": "value", "value": ran(body)}]
        assert "repairs" not in body
        fresh.add(ran(body))
    assert len(fresh - {7}) == 2
    for kept in (
        {"workflow": randomized(), "keep_seeds": True},
        {"workflow": randomized(), "strict": True},
        {"workflow": randomized("fixed")},
        {"workflow": randomized("increment")},
    ):
        _, body = await client.post("/generate/sync", kept)
        assert ran(body) == 7
        assert "seeds" not in body["metadata"]


async def test_a_conversion_draws_nothing(client: Client) -> None:
    """`POST /convert` returns the saved seed, and lists the fields that a job draws or repairs."""
    status, body = await client.post("/convert", randomized(seed=11))
    assert status == 200
    assert body["prompt"]["1"]["inputs"] == {"value": 11}
    assert [(one["node_id"], one["input"]) for one in body["seeds"]] == [("1", "value")]
    _, body = await client.post("/convert", small())
    assert body["prompt"]["3"]["inputs"]["seed"] == -1
    assert [one["code"] for one in body["repairs"]] == ["seed_drawn"]
    _, body = await client.post("/convert?strict=true", small())
    assert body.keys() == {"prompt", "warnings", "left_out"}


async def test_a_check_says_what_a_job_would_do(client: Client) -> None:
    """`POST /validate` judges the repaired prompt, and with strict the prompt that was sent."""
    workflow = small() | {"20": node("Note", text="hi")}
    _, body = await client.post("/validate", {"workflow": workflow})
    assert (body["valid"], body["comfyui"]["status"]) == (True, 200)
    assert sorted(one["code"] for one in body["repairs"]) == ["editor_node", "seed_drawn"]
    assert [(one["node_id"], one["input"], one["min"]) for one in body["seeds"]] == [("3", "seed", 0)]
    for path, more in (("/validate?strict=true", {}), ("/validate", {"strict": True})):
        _, body = await client.post(path, {"workflow": workflow, **more})
        assert (body["valid"], body["comfyui"]["error_type"]) == (False, "missing_node_type")
        assert body.keys().isdisjoint({"repairs", "seeds"})
    _, body = await client.post("/validate", {"workflow": workflow, "keep_seeds": True})
    assert [one["code"] for one in body["repairs"]] == ["editor_node"]
    assert [one["comfyui_type"] for one in body["problems"]] == ["value_smaller_than_min"]
    _, body = await client.post("/validate", {"input": {"workflow_json": small()}})
    assert [one["code"] for one in body["repairs"]] == ["seed_drawn"]
    _, body = await client.post("/validate", {"workflow": randomized()})
    assert body["valid"]
    assert [one["node_id"] for one in body["seeds"]] == ["1"]


async def test_the_strict_query(client: Client) -> None:
    """`?strict` is accepted on every route for work, and a wrong value is rejected."""
    for path in ("/generate/sync", "/generate", "/generate/stream"):
        status, body = await client.post(f"{path}?strict=true", {"workflow": small()})
        assert (status, body["error"]["code"]) == (422, "invalid_workflow")
    status, body = await client.post("/generate/sync?strict=perhaps", {"workflow": small()})
    assert (status, body["error"]["code"]) == (400, "invalid_field")


async def test_nothing_is_listed_where_nothing_changed(client: Client) -> None:
    """A response without repairs or seeds has no field for them."""
    for workflow in (picture(), drawn()):
        _, body = await client.post("/generate/sync", {"workflow": workflow})
        assert body.keys() == {"status", "id", "image", "outputs", "metadata"}
        assert "seeds" not in body["metadata"]


async def test_warnings_of_a_conversion(client: Client) -> None:
    """The responses of a job and of a check list the warnings of the conversion."""
    nodes = [
        {"id": 1, "type": "RecordAudio", "widgets_values": [""], "outputs": [{"type": "AUDIO", "links": [1]}]},
        {"id": 2, "type": "PreviewAny", "widgets_values": [], "inputs": [{"name": "source", "type": "*", "link": 1}]},
    ]
    workflow = {"nodes": nodes, "links": [[1, 1, 0, 2, 0, "AUDIO"]], "version": 0.4}
    _, checked = await client.post("/validate", {"workflow": workflow})
    [warning] = checked["warnings"]
    assert (warning["node_id"], warning["class_type"]) == ("1", "RecordAudio")
    _, job = await client.post("/generate", {"workflow": workflow})
    assert job["warnings"] == checked["warnings"], job
