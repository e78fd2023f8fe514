"""The cache of node results."""

from __future__ import annotations

from tests.simulators.comfyui.client import EngineClient, order, picture
from tests.simulators.comfyui.conftest import EngineFactory
from worker.simulators.comfyui.settings import CachePolicy


async def test_repeated_prompt_reports_the_earlier_file(client: EngineClient) -> None:
    """A repeated prompt runs no node and reports the earlier file, even when that was deleted."""
    socket = await client.listen("A")
    await socket.until_ended(await client.submit(picture(1)))
    (client.base / "output" / "t_00001_.png").unlink()
    frames = await socket.until_ended(await client.submit(picture(1)))
    assert order(frames)[2:] == [
        "execution_start",
        "execution_cached",
        "executed:2",
        "progress_state",
        "execution_success",
        "status",
        "executing:None",
    ]
    assert frames[3]["data"]["nodes"] == ["1", "2"]
    assert frames[4]["data"]["output"]["images"][0]["filename"] == "t_00001_.png"
    assert await client.status("GET", "/view?filename=t_00001_.png") == 404


async def test_cached_run_without_client_still_has_outputs(client: EngineClient) -> None:
    """The history of a cached prompt has its outputs, even without a client id."""
    await client.run(picture(1))
    socket = await client.listen("B")
    prompt_id = await client.submit(picture(1), None)
    await socket.until(lambda frame: frame["type"] == "status" and frame["data"]["status"] == IDLE)
    entry = (await client.get(f"/history/{prompt_id}"))[prompt_id]
    assert entry["outputs"]["2"]["images"][0]["filename"] == "t_00001_.png"


async def test_only_the_last_prompt_is_cached(client: EngineClient) -> None:
    """By default only results of the last prompt are cached."""
    await client.run(picture(1, "one"))
    await client.run(picture(1, "two"))
    again = await client.run(picture(1, "one"))
    assert again["status"]["messages"][1][1]["nodes"] == ["1"]
    assert again["outputs"]["2"]["images"][0]["filename"] == "one_00002_.png"


async def test_every_prompt_policy_keeps_all_results(start: EngineFactory) -> None:
    """With EVERY_PROMPT a renamed node is found in the cache, and `meta` has its old id (recording 29)."""
    async with start(cache=CachePolicy.EVERY_PROMPT) as client:
        await client.run(picture(1, "one"))
        await client.run(picture(2, "two"))
        graph = picture(1, "one")
        renamed = {"9": graph["1"], "8": graph["2"]}
        renamed["8"]["inputs"]["images"] = ["9", 0]
        entry = await client.run(renamed)
    assert entry["outputs"]["8"]["images"][0]["filename"] == "one_00001_.png"
    assert entry["meta"]["8"]["node_id"] == "2"


async def test_free_memory_clears_the_cache(client: EngineClient) -> None:
    """POST /free with `free_memory` clears the cache, and `unload_models` does not."""
    await client.run(picture(1))
    assert await client.post("/free", json={"unload_models": True}) == (200, b"")
    assert (await client.run(picture(1)))["status"]["messages"][1][1]["nodes"] == ["1", "2"]
    assert await client.post("/free", json={"free_memory": True}) == (200, b"")
    # Done between two jobs: one that comes quickly may still run before it.
    names = [(await client.run(picture(1)))["outputs"]["2"]["images"][0]["filename"] for _ in range(2)]
    assert names[1] == "t_00002_.png"


async def test_websocket_images_are_never_cached(client: EngineClient) -> None:
    """SaveImageWebsocket is never cached. The form of its frames depends on the client's feature flags."""
    graph = picture(1, batch=2)
    graph["2"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}}
    plain = await client.listen("plain")
    await client.listen("modern", modern=True)
    frames = await plain.until_ended(await client.submit(graph, "plain"))
    steps = ["progress_state", "progress", "BIN1"]
    assert [step for step in order(frames) if step in steps][-7:] == [*steps, *steps, "progress_state"]
    assert next(frame for frame in frames if isinstance(frame, bytes))[8:12] == b"\x89PNG"
    frames = await plain.until_ended(await client.submit(graph, "plain"))
    assert "executing:2" in order(frames)
    assert "executing:1" not in order(frames)


IDLE = {"exec_info": {"queue_remaining": 0}}


async def test_a_very_long_number_is_signed(client: EngineClient) -> None:
    """A number of 30 digits does not end the prompt thread."""
    prompt = picture(1)
    prompt["3"] = {"class_type": "Image Gaussian Blur", "inputs": {"images": ["1", 0], "size": "9" * 30}}
    prompt["4"] = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}
    await client.run(prompt)
    assert (await client.run(picture(3)))["status"]["completed"]
