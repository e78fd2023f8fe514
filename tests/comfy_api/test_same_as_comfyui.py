"""The same requests to an engine and to the worker in front of it have answers of the same form."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.comfy_api.client import ComfyClient, shape
from tests.workflows import Workflow, hidden, picture, sampling, slow

pytestmark = pytest.mark.asyncio(loop_scope="module")

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f6"
    "45400000000049454e44ae426082"
)


async def run_on_both(
    direct: ComfyClient, ann: ComfyClient, make_prompt: Callable[[], Workflow]
) -> list[tuple[list[Any], dict[str, Any]]]:
    """Run a prompt on each, and return the frames and the entries of the history."""
    results = []
    for client in (direct, ann):
        async with client.listening(supports_preview_metadata=True) as frames:
            prompt_id = await client.submit(make_prompt(), prompt_id=str(uuid.uuid4()))
            shown = [frame for frame in await frames.of_prompt(prompt_id) if isinstance(frame, dict)]
            results.append((shown, await client.ended(prompt_id)))
    return results


def two_saves() -> Workflow:
    """Return a workflow with a saved file and a preview."""
    workflow = picture()
    workflow["3"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    return workflow


@pytest.mark.parametrize(
    "make_prompt",
    [picture, two_saves, lambda: slow(0.01, steps=3), lambda: hidden(raises=True)],
    ids=["picture", "preview", "steps", "error"],
)
async def test_frames_have_the_same_order_and_form(
    direct: ComfyClient, ann: ComfyClient, make_prompt: Callable[[], Workflow]
) -> None:
    """A prompt shows the same types of frames in the same order, with the same keys, and the same history."""
    (theirs, entry), (ours, own_entry) = await run_on_both(direct, ann, make_prompt)
    assert [frame["type"] for frame in ours] == [frame["type"] for frame in theirs]
    assert [_without_dump(shape(frame)) for frame in ours] == [_without_dump(shape(frame)) for frame in theirs]
    assert _without_dump(shape(own_entry)) == _without_dump(shape(entry))


def _without_dump(value: Any) -> Any:
    """Return the form of an answer without traceback and inputs of an error, which the worker does not show."""
    if isinstance(value, dict):
        return {key: _without_dump(item) for key, item in value.items() if key not in DUMPS}
    return [_without_dump(item) for item in value] if isinstance(value, list) else value


DUMPS = {"traceback", "current_inputs", "current_outputs"}


def named(frame: Any) -> str:
    """Return the type of a frame. That of a binary one is its code."""
    return frame["type"] if isinstance(frame, dict) else f"binary {frame[3]}"


@pytest.mark.parametrize("features", [{"supports_preview_metadata": True}, {}], ids=["metadata", "old client"])
async def test_images_come_in_binary_frames(ann: ComfyClient, features: dict[str, bool]) -> None:
    """Each step of a sampler has a preview, and an image that is only sent is a PNG file, in the client's form."""
    prompt = sampling()
    prompt["15"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["14", 0]}}
    async with ann.listening(**features) as frames:
        shown = await frames.of_prompt(await ann.submit(prompt))
    images = [frame for frame in shown if isinstance(frame, bytes)]
    code = 4 if features else 1
    starts = [8 + (int.from_bytes(image[4:8]) if features else 0) for image in images]
    kinds = [image[start : start + 2] for image, start in zip(images, starts, strict=True)]
    assert {image[3] for image in images} == {code}
    assert kinds == [b"\xff\xd8"] * (len(images) - 1) + [b"\x89P"]
    names = [named(frame) for frame in shown]
    step = names.index("progress")
    assert names[step - 2 : step + 1] == ["progress_state", f"binary {code}", "progress"]
    assert names.count("progress") == len(images)


async def test_a_cached_prompt_reports_its_files_again(ann: ComfyClient) -> None:
    """The second run of a prompt shows cached nodes, one `executed`, and a file that can be viewed."""
    prompt = picture()
    first = await ann.ended(await ann.submit(prompt))
    async with ann.listening() as frames:
        prompt_id = await ann.submit(prompt)
        kinds = [frame["type"] for frame in await frames.of_prompt(prompt_id)]
    assert kinds == [
        *("execution_start", "execution_cached", "executed", "progress_state", "execution_success", "executing")
    ]
    [image] = (await ann.ended(prompt_id))["outputs"]["2"]["images"]
    assert image == first["outputs"]["2"]["images"][0]
    assert (await ann.get("/view", **image))[0] == 200


async def test_a_cached_file_of_another_client_is_written_again(direct: ComfyClient, ann: ComfyClient) -> None:
    """If ComfyUI has the results of a client that is not the worker's, the caller sees one file, which is its own."""
    prompt = picture()
    await direct.ended(await direct.submit(prompt))
    async with ann.listening() as frames:
        prompt_id = await ann.submit(prompt)
        shown = [frame for frame in await frames.of_prompt(prompt_id) if frame["type"] == "executed"]
    assert [frame["data"]["node"] for frame in shown] == ["2"]
    [image] = shown[0]["data"]["output"]["images"]
    assert (await ann.get("/view", **image))[0] == 200


async def test_a_preview_is_kept_beside_a_saved_file(ann: ComfyClient) -> None:
    """The file of PreviewImage can be viewed as long as the saved one."""
    outputs = (await ann.ended(await ann.submit(two_saves())))["outputs"]
    files = [image for output in outputs.values() for image in output["images"]]
    assert sorted(image["type"] for image in files) == ["output", "temp"]
    assert [(await ann.get("/view", **image))[0] for image in files] == [200, 200]


BAD: dict[str, tuple[Any, bool]] = {
    "no prompt": ({"client_id": "x"}, True),
    "empty prompt": ({"prompt": {}}, False),
    "bad id": ({"prompt": picture(), "prompt_id": "job-17"}, True),
    "unknown class": ({"prompt": {"1": {"class_type": "NoSuchNode", "inputs": {}}}}, True),
    "no output": ({"prompt": {"1": picture()["1"]}}, True),
    "too small": ({"prompt": picture(width=0)}, True),
    "missing input": ({"prompt": {**picture(), "1": {"class_type": "EmptyImage", "inputs": {}}}}, False),
}
"""Bodies that ComfyUI refuses, and whether the worker names the same problem. It may accept what it can repair."""


@pytest.mark.parametrize("case", [name for name, (_, same) in BAD.items() if same])
async def test_a_refusal_has_comfyuis_form(direct: ComfyClient, ann: ComfyClient, case: str) -> None:
    """A refused body gets 400 with the same type of error, the same nodes and the same types of their errors."""
    body, _ = BAD[case]
    (status, theirs), (own_status, ours) = await direct.post("/prompt", body), await ann.post("/prompt", body)
    assert (status, own_status) == (400, 400)
    assert ours["error"]["type"] == theirs["error"]["type"]
    assert ours["error"].keys() == theirs["error"].keys()
    assert ours["node_errors"].keys() == theirs["node_errors"].keys()
    for node, problems in theirs["node_errors"].items():
        own = ours["node_errors"][node]
        assert own.keys() == problems.keys()
        assert [item["type"] for item in own["errors"]] == [item["type"] for item in problems["errors"]]
        assert own["errors"][0].keys() == problems["errors"][0].keys()
        assert (own["dependent_outputs"], own["class_type"]) == (problems["dependent_outputs"], problems["class_type"])


QUERIES = [
    *({}, {"filename": ""}, {"filename": "none.png"}, {"filename": "../a.png"}, {"filename": "/etc/passwd"}),
    *({"filename": "a.png", "subfolder": "../x"}, {"filename": "a.png", "type": "models"}, {"filename": "a..b.png"}),
]


@pytest.mark.parametrize("query", QUERIES, ids=str)
async def test_a_file_that_cannot_be_viewed_has_the_same_status(
    direct: ComfyClient, ann: ComfyClient, query: dict[str, str]
) -> None:
    """Missing files and names that lead out of a folder get ComfyUI's statuses."""
    assert (await ann.get("/view", **query))[0] == (await direct.get("/view", **query))[0]


@pytest.mark.parametrize(
    "path", ["/queue", "/prompt", "/models", "/embeddings", "/models/loras", "/object_info/KSampler"]
)
async def test_facts_have_the_same_form(direct: ComfyClient, ann: ComfyClient, path: str) -> None:
    """Routes that tell about ComfyUI have the same form, also below /api."""
    status, theirs = await direct.get(path)
    for prefix in ("", "/api"):
        own_status, ours = await ann.get(prefix + path)
        assert (own_status, shape(ours)) == (status, shape(theirs))


async def test_system_stats_have_no_command_line(direct: ComfyClient, ann: ComfyClient) -> None:
    """The facts of the machine have the same keys, without the paths of the command line."""
    (_, theirs), (_, ours) = await direct.get("/system_stats"), await ann.get("/system_stats")
    assert ours.keys() == theirs.keys()
    assert ours["system"].keys() == theirs["system"].keys()
    assert ours["system"]["argv"] == ["main.py"]


async def test_uploads_are_named_as_comfyui_does(direct: ComfyClient, ann: ComfyClient) -> None:
    """The same content keeps its name, other content gets a number, and `overwrite` replaces."""
    name = f"{uuid.uuid4().hex}.png"
    for data, fields in [
        (PNG, {}),
        (PNG, {}),
        (PNG + b"1", {}),
        (PNG + b"2", {"overwrite": "true"}),
        (PNG, {"subfolder": "a/b"}),
    ]:
        assert await ann.upload(data, name, **fields) == await direct.upload(data, name, **fields)
    assert (await ann.upload(PNG, name, subfolder="../x"))[0] == (await direct.upload(PNG, name, subfolder="../x"))[0]
