"""One prompt from submission to history: its frames, their order, and their receivers."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from tests.simulators.comfyui.client import EngineClient, order, picture


async def test_frames_of_a_job_come_in_order(client: EngineClient) -> None:
    """The owner of a prompt gets each event once, in ComfyUI's order."""
    socket = await client.listen("A", modern=True)
    prompt_id = await client.submit(picture())
    frames = await socket.until_ended(prompt_id)
    assert order(frames) == [
        "status",
        "status",
        "execution_start",
        "execution_cached",
        "progress_state",
        "executing:1",
        "progress_state",
        "progress_state",
        "executing:2",
        "executed:2",
        "progress_state",
        "execution_success",
        "status",
        "executing:None",
    ]


async def test_saved_image_has_the_prompt_as_metadata(client: EngineClient) -> None:
    """SaveImage writes a PNG with the prompt and each key of `extra_pnginfo` as text chunks."""
    extra = {"extra_pnginfo": {"workflow": {"id": "w1"}}}
    entry = await client.run(picture(0xFF8000, "sub/pic", size=512), extra_data=extra)
    file = entry["outputs"]["2"]["images"][0]
    assert file == {"filename": "pic_00001_.png", "subfolder": "sub", "type": "output"}
    async with client.http.get("/view", params=file) as answer:
        image = Image.open(BytesIO(await answer.read()))
    assert (image.size, image.mode, image.getpixel((0, 0))) == ((512, 512), "RGB", (255, 128, 0))
    assert set(image.info) == {"prompt", "workflow"}
    assert image.info["workflow"] == '{"id": "w1"}'


async def test_frames_of_a_prompt_without_client_id(client: EngineClient) -> None:
    """For a prompt without client id, all clients get only `status` and `progress_state`."""
    one = await client.listen("A")
    other = await client.listen("B")
    await client.submit(picture(), None)
    for socket in (one, other):
        frames = await socket.until(
            lambda frame: frame["type"] == "status" and frame["data"]["status"]["exec_info"]["queue_remaining"] == 0
        )
        assert order(frames) == ["status", "status", *["progress_state"] * 4, "status"]


async def test_other_clients_get_only_status(client: EngineClient) -> None:
    """Clients that do not own the prompt get only `status`."""
    owner = await client.listen("A")
    other = await client.listen("B")
    await owner.until_ended(await client.submit(picture()))
    frames = [await other.read() for _ in range(3)]
    assert order(frames) == ["status"] * 3
    assert await other.is_silent()


async def test_cycle_through_an_unknown_input_fails_the_prompt(client: EngineClient) -> None:
    """A cycle through an unknown input passes validation and fails the prompt, as in ComfyUI 0.33.0."""
    prompt = picture()
    prompt["1"]["inputs"]["odd"] = ["2", 0]
    entry = await client.run(prompt)
    name, error = entry["status"]["messages"][-1]
    assert (name, error["exception_type"], error["node_id"]) == ("execution_error", "graph.DependencyCycleError", "2")
    assert (await client.run(picture()))["status"]["completed"]


async def test_text_instead_of_an_image_fails_in_the_node(client: EngineClient) -> None:
    """A string where an image is needed passes validation and fails in the node."""
    workflow = picture()
    workflow["2"]["inputs"]["images"] = "1"
    entry = await client.run(workflow)
    name, error = entry["status"]["messages"][-1]
    failure = error["exception_type"], error["exception_message"].strip(), error["node_id"]
    assert (name, *failure) == ("execution_error", "AttributeError", "'str' object has no attribute 'shape'", "2")
