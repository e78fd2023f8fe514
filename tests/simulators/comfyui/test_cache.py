"""What isn't made again, and what of it is told."""

from __future__ import annotations

from tests.simulators.comfyui.client import Client, order, picture
from tests.simulators.comfyui.conftest import EngineFactory
from worker.simulators.comfyui.settings import CachePolicy


async def test_same_prompt_reports_the_old_file(client: Client) -> None:
    """Nothing runs or is written, `executed` names the old file, and it may even be gone."""
    socket = await client.listen("A")
    await socket.until_over(await client.submit(picture(1)))
    (client.base / "output" / "t_00001_.png").unlink()
    frames = await socket.until_over(await client.submit(picture(1)))
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


async def test_cached_run_without_client_still_has_outputs(client: Client) -> None:
    """As in 0.33.0: the history of a cached run shows the old file whoever asked."""
    await client.run(picture(1))
    socket = await client.listen("B")
    prompt_id = await client.submit(picture(1), None)
    await socket.until(lambda frame: frame["type"] == "status" and frame["data"]["status"] == IDLE)
    entry = (await client.get(f"/history/{prompt_id}"))[prompt_id]
    assert entry["outputs"]["2"]["images"][0]["filename"] == "t_00001_.png"


async def test_another_prompt_drops_the_results_of_the_last(client: Client) -> None:
    """By default only the last prompt's results are kept; equal nodes of the next one are among them."""
    await client.run(picture(1, "one"))
    await client.run(picture(1, "two"))
    again = await client.run(picture(1, "one"))
    assert again["status"]["messages"][1][1]["nodes"] == ["1"]
    assert again["outputs"]["2"]["images"][0]["filename"] == "one_00002_.png"


async def test_with_much_memory_every_prompt_stays_cached(start: EngineFactory) -> None:
    """Node ids don't matter then: the outputs have the new id, `meta` the old one (recording 29)."""
    async with start(cache=CachePolicy.EVERY_PROMPT) as client:
        await client.run(picture(1, "one"))
        await client.run(picture(2, "two"))
        graph = picture(1, "one")
        renamed = {"9": graph["1"], "8": graph["2"]}
        renamed["8"]["inputs"]["images"] = ["9", 0]
        entry = await client.run(renamed)
    assert entry["outputs"]["8"]["images"][0]["filename"] == "one_00001_.png"
    assert entry["meta"]["8"]["node_id"] == "2"


async def test_free_memory_drops_results_and_unloading_models_does_not(client: Client) -> None:
    """`/free` works between jobs; a body that isn't an object is a 500."""
    await client.run(picture(1))
    assert await client.post("/free", json={"unload_models": True}) == (200, b"")
    assert (await client.run(picture(1)))["status"]["messages"][1][1]["nodes"] == ["1", "2"]
    assert await client.post("/free", json={"free_memory": True}) == (200, b"")
    # Done between two jobs: one that comes quickly may still run before it.
    names = [(await client.run(picture(1)))["outputs"]["2"]["images"][0]["filename"] for _ in range(2)]
    assert names[1] == "t_00002_.png"


async def test_websocket_pictures_are_sent_each_time(client: Client) -> None:
    """SaveImageWebsocket always runs again; its PNG frames depend on what the client announced."""
    graph = picture(1, batch=2)
    graph["2"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}}
    plain = await client.listen("plain")
    await client.listen("modern", modern=True)
    frames = await plain.until_over(await client.submit(graph, "plain"))
    steps = ["progress_state", "progress", "BIN1"]
    assert [step for step in order(frames) if step in steps][-7:] == [*steps, *steps, "progress_state"]
    assert next(frame for frame in frames if isinstance(frame, bytes))[8:12] == b"\x89PNG"
    frames = await plain.until_over(await client.submit(graph, "plain"))
    assert "executing:2" in order(frames)
    assert "executing:1" not in order(frames)


IDLE = {"exec_info": {"queue_remaining": 0}}


async def test_a_number_with_more_digits_than_json_writers_take_is_signed(client: Client) -> None:
    """A text of digits becomes a number of any length, as in ComfyUI, and the next prompt runs, too."""
    prompt = picture(1)
    prompt["3"] = {"class_type": "Image Gaussian Blur", "inputs": {"images": ["1", 0], "size": "9" * 30}}
    prompt["4"] = {"class_type": "PreviewImage", "inputs": {"images": ["3", 0]}}
    await client.run(prompt)
    assert (await client.run(picture(3)))["status"]["completed"]
