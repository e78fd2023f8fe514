"""Simulated nodes: steps, previews, placeholders, and the time they take."""

from __future__ import annotations

import asyncio
import json
import time
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from tests.simulators.comfyui.client import EngineClient, Graph, is_event, order, picture
from tests.simulators.comfyui.conftest import EngineFactory
from worker.simulators.comfyui.classes import placeholder
from worker.simulators.comfyui.classes.values import Trace


def text_to_image(sampler: str = "KSampler", **more: Any) -> Graph:
    """Return a prompt of 96x64 pixels: checkpoint, text, latent, sampler, decoder, saver."""
    inputs: dict[str, Any] = {
        "model": ["4", 0],
        "positive": ["6", 0],
        "negative": ["7", 0],
        "latent_image": ["5", 0],
        "seed": 42,
        "steps": 3,
        "cfg": 7.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "denoise": 1.0,
    }
    if sampler == "ClownsharKSampler_Beta":
        inputs |= {"sampler_name": "multistep/res_2m", "eta": 0.5, "steps_to_run": -1}
        inputs |= {"sampler_mode": "standard", "bongmath": True}
    return {
        "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "any.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 96, "height": 64, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a lighthouse", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
        "3": {"class_type": sampler, "inputs": inputs | more},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "sim"}},
    }


STEP = ["progress_state", "BIN4", "progress"]


@pytest.mark.parametrize(("sampler", "steps"), [("KSampler", 3), ("ClownsharKSampler_Beta", 4)])
async def test_sampler_reports_each_step_with_a_preview(client: EngineClient, sampler: str, steps: int) -> None:
    """Each step sends a JPEG preview with metadata, 512 wide. RES4LYF samplers send the last step twice."""
    socket = await client.listen("A", modern=True)
    graph = text_to_image(sampler)
    frames = await socket.until_ended(await client.submit(graph, extra_data={"preview_method": "auto"}))
    names = order(frames)
    start = names.index("executing:3") + 1
    assert names[start : start + 3 * steps] == STEP * steps
    values = [frame["data"]["value"] for frame in frames if is_event(frame, "progress")]
    assert values == [1, 2, 3, 3][:steps]
    preview = next(frame for frame in frames if isinstance(frame, bytes))
    length = int.from_bytes(preview[4:8], "big")
    metadata = json.loads(preview[8 : 8 + length])
    assert (metadata["node_id"], metadata["image_type"]) == ("3", "image/jpeg")
    assert Image.open(BytesIO(preview[8 + length :])).size == (512, 341)


PREVIEW_METHODS = {
    "auto": True,
    "latent2rgb": True,
    "taesd": True,  # without its model a real one falls back to latent2rgb
    "none": False,
    "default": False,
    "bogus": False,
    "": False,
}
"""Whether a real ComfyUI 0.33.0, started without `--preview-method`, sends previews for a prompt's `preview_method`."""


async def test_previews_depend_on_method_and_feature_flag(client: EngineClient, start: EngineFactory) -> None:
    """Previews need a method. Clients without the metadata flag get the old frame after `progress`."""
    socket = await client.listen("A")
    for seed, (method, has_preview) in enumerate(PREVIEW_METHODS.items()):
        prompt_id = await client.submit(text_to_image(seed=seed), extra_data={"preview_method": method})
        names = order(await socket.until_ended(prompt_id))
        first = ["progress_state", "progress", "BIN1" if has_preview else "progress_state"]
        assert names[names.index("executing:3") + 1 :][:3] == first, method
        assert names.count("progress") == 3
    async with start(preview_method="auto") as other:
        listening = await other.listen("A")
        assert "BIN1" in order(await listening.until_ended(await other.submit(text_to_image())))
        no_previews = {"preview_method": "none"}
        prompt_id = await other.submit(text_to_image(seed=1), extra_data=no_previews)
        assert "BIN1" not in order(await listening.until_ended(prompt_id))


async def test_simulated_image_has_the_latents_size(client: EngineClient) -> None:
    """The image has the latent's size. Equal seeds give equal images, other seeds give others."""
    files = []
    for seed, prefix in ((1, "a"), (2, "b"), (1, "c")):
        graph = text_to_image(seed=seed)
        graph["9"]["inputs"]["filename_prefix"] = prefix
        entry = await client.run(graph)
        files.append(client.base / "output" / entry["outputs"]["9"]["images"][0]["filename"])
    pixels = []
    for file in files:
        with Image.open(file) as image:
            assert image.size == (96, 64)
            pixels.append(image.tobytes())
    assert pixels[0] == pixels[2] != pixels[1]


def test_placeholders_depend_on_the_trace() -> None:
    """Another text gives another placeholder, and the frames of a video differ."""
    trace = Trace(seed=1, steps=2, text="a")
    (first_image,) = placeholder.draw((64, 64), trace)
    (second_image,) = placeholder.draw((64, 64), Trace(seed=1, steps=2, text="b"))
    assert first_image.tobytes() != second_image.tobytes()
    first, second = placeholder.draw((64, 64), trace, 2)
    assert first.tobytes() != second.tobytes()


async def test_sigmas_set_the_number_of_steps(client: EngineClient) -> None:
    """SamplerCustom makes as many steps as its scheduler has, even after `Sigmas Rescale`."""
    graph = text_to_image()
    graph["k"] = {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}}
    scheduler = {"model": ["4", 0], "scheduler": "normal", "steps": 5, "denoise": 1.0}
    graph["s"] = {"class_type": "BasicScheduler", "inputs": scheduler}
    graph["r"] = {"class_type": "Sigmas Rescale", "inputs": {"start": 14.0, "end": 0.0, "sigmas": ["s", 0]}}
    sources = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    options = {"add_noise": True, "noise_seed": 1, "cfg": 5.5, "sampler": ["k", 0], "sigmas": ["r", 0]}
    graph["3"] = {"class_type": "SamplerCustom", "inputs": sources | options}
    socket = await client.listen("A")
    frames = await socket.until_ended(await client.submit(graph))
    assert [frame["data"]["value"] for frame in frames if is_event(frame, "progress")] == [1, 2, 3, 4, 5]


async def test_simulated_work_takes_time_at_a_finite_speed(start: EngineFactory) -> None:
    """At a finite speed a model load takes time, and a sampler can be interrupted."""
    async with start(speed=5.0) as client:
        socket = await client.listen("A")
        started = time.perf_counter()
        graph = text_to_image(steps=10_000)
        graph["5"]["inputs"] |= {"width": 1024, "height": 1024}
        prompt_id = await client.submit(graph)
        await socket.until(lambda frame: is_event(frame, "progress"))
        assert time.perf_counter() - started > 0.3
        await client.post("/interrupt")
        async with asyncio.timeout(60):
            frames = await socket.until_ended(prompt_id)
        assert "execution_interrupted" in order(frames)


async def test_model_names_are_checked_only_when_strict(start: EngineFactory) -> None:
    """By default every model name is accepted. With `strict_files` only listed models are."""
    async with start() as client:
        assert (await client.run(text_to_image()))["status"]["completed"]
    models = {"checkpoints": ["other.safetensors"]}
    async with start(strict_files=True, models=models) as client:
        status, answer = await client.post("/prompt", json={"prompt": text_to_image()})
        assert (status, answer["node_errors"]["4"]["errors"][0]["type"]) == (400, "value_not_in_list")
        assert await client.get("/models/checkpoints") == ["other.safetensors"]


async def test_missing_uploads_are_rejected(client: EngineClient) -> None:
    """A missing input file is rejected, although every model name is accepted."""
    graph = text_to_image()
    graph["8"] = {"class_type": "LoadImage", "inputs": {"image": "nowhere.png"}}
    status, answer = await client.post("/prompt", json={"prompt": graph})
    assert (status, answer["node_errors"]["8"]["errors"][0]["type"]) == (400, "custom_validation_failed")


async def test_a_link_to_an_unknown_input_fails_the_node(client: EngineClient) -> None:
    """ComfyUI drops a value of an input that a class does not have, and passes the result of a link to its function."""
    graph = picture()
    graph["2"]["inputs"]["unknown"] = 3
    assert (await client.run(graph))["status"]["completed"]
    graph["2"]["inputs"]["unknown"] = ["1", 0]
    event, data = (await client.run(graph))["status"]["messages"][-1]
    assert (event, data["node_id"], data["exception_type"]) == ("execution_error", "2", "TypeError")
    assert "got an unexpected keyword argument 'unknown'" in data["exception_message"]
