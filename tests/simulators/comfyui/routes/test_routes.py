"""Rules for all routes, and tests of the small routes."""

from __future__ import annotations

import pytest

from tests.simulators.comfyui.client import EngineClient, is_event, picture, slow


@pytest.mark.parametrize("path", ["/prompt", "/queue", "/history", "/free"])
async def test_a_body_that_is_not_json_is_a_500(client: EngineClient, path: str) -> None:
    """A body that is not JSON gets 500, as from ComfyUI."""
    status, body = await client.post(path, data=b"nonsense")
    assert status == 500
    assert body == b"500 Internal Server Error\n\nServer got itself in trouble"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/queue/", 404),
        ("GET", "/nope", 404),
        ("GET", "/api/nope", 404),
        ("GET", "/jobs", 404),
        ("GET", "/api/internal/logs", 404),
        ("GET", "/interrupt", 404),
        ("PUT", "/prompt", 405),
        ("DELETE", "/history", 405),
        ("POST", "/queue/x", 405),
        ("HEAD", "/prompt", 200),
        ("OPTIONS", "/nope", 200),
        ("GET", "/api/queue", 200),
        ("GET", "/models/nope", 404),
        ("GET", "/api/assets", 503),
        ("GET", "/object_info/Nope", 200),
    ],
)
async def test_methods_and_paths(client: EngineClient, method: str, path: str, status: int) -> None:
    """Each path and method returns the status that ComfyUI returns."""
    assert await client.status(method, path) == status


async def test_other_origins_are_rejected(client: EngineClient) -> None:
    """A request with a foreign Origin gets 403 on a loopback host, and a cross-site request always does."""
    own = client.url
    for headers, status in [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": own}, 200),
        ({"Origin": own.replace("127.0.0.1", "localhost")}, 403),
        ({"Origin": "null"}, 200),
        ({"Origin": "http://evil.example", "Host": "10.0.0.5:8188"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 200),
    ]:
        assert await client.status("GET", "/prompt", headers=headers) == status, headers


async def test_the_engine_identifies_itself(client: EngineClient) -> None:
    """The Server header, the device and the environment show that this is not a real ComfyUI."""
    async with client.http.get("/system_stats") as answer:
        assert answer.headers["Server"].startswith("comfy-worker-embedded/")
        stats = await answer.json()
    assert stats["system"]["comfyui_version"] == "0.33.0"
    assert stats["system"]["deploy_environment"] == "embedded"
    assert stats["devices"][0]["name"] == "embedded engine (no GPU)"


@pytest.mark.parametrize("prompt_id", ["job-1", "", "A" * 32, 5, False, "4B2B5D4E-0000-4000-8000-000000000000"])
async def test_prompt_id_must_be_a_canonical_uuid(client: EngineClient, prompt_id: object) -> None:
    """A `prompt_id` that is not a canonical UUID gets 400. Null counts as missing."""
    status, answer = await client.post("/prompt", json={"prompt": picture(), "prompt_id": prompt_id})
    assert (status, answer["error"]["type"]) == (400, "invalid_prompt_id")
    assert await client.status("POST", "/prompt", json={"prompt": picture(), "prompt_id": None}) == 200


async def test_partly_valid_prompts_run(client: EngineClient) -> None:
    """A prompt with one valid output runs, and the response names the errors of the others."""
    graph = picture()
    graph["3"] = {"class_type": "EmptyImage", "inputs": {"width": 0, "height": 1, "batch_size": 1, "color": 0}}
    graph["4"] = {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "bad"}}
    status, answer = await client.post("/prompt", json={"prompt": graph})
    assert status == 200
    assert list(answer["node_errors"]) == ["3"]
    assert (await client.run(graph))["prompt"][4] == ["2"]


async def test_options_of_a_submission(client: EngineClient) -> None:
    """POST /prompt accepts targets and a usage header, and returns 500 for options of the wrong type."""
    graph = picture() | {"3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}
    graph["1"]["inputs"]["width"] = "64"
    entry = await client.run(graph, partial_execution_targets=["3"])
    assert entry["prompt"][4] == list(entry["outputs"]) == ["3"]
    assert entry["prompt"][2]["1"]["inputs"]["width"] == 64
    socket = await client.listen("A")
    await client.submit(slow(5.0))
    await socket.until(lambda frame: is_event(frame, "executing") and frame["data"]["node"] == "s")
    assert await client.status("POST", "/prompt", json={"prompt": graph}, headers={"Comfy-Usage-Source": "me"}) == 200
    assert (await client.get("/queue"))["queue_pending"][0][3]["comfy_usage_source"] == "me"
    for broken in ({"extra_data": None}, {"number": None}, {"partial_execution_targets": 4}):
        assert await client.status("POST", "/prompt", json={"prompt": graph} | broken) == 500


async def test_own_classes_are_in_the_catalog(client: EngineClient) -> None:
    """GET /object_info has the engine's own classes, and LoadImage has the uploaded files."""
    (client.base / "input" / "up.png").touch()
    catalog = await client.get("/object_info")
    assert {"EmbeddedSleep", "EmbeddedFail", "EmbeddedBigFile", "KSampler", "ClownsharKSampler_Beta"} <= set(catalog)
    listed = (await client.get("/object_info/LoadImage"))["LoadImage"]["input"]["required"]["image"][0]
    assert listed == ["up.png"]
    assert "ConditioningAverage " in await client.get("/node_replacements")
