"""Sizes of the pictures and videos that a request has, which determine its cost."""

from __future__ import annotations

import base64
import struct
from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.fetch.origin import content, opened, serving
from tests.media_facts.samples import FRAMES, mp4
from tests.workflow.prompts import link, node, saved
from worker.inputs import SentFile
from worker.inputs.content.sizes import FRAMES_PER_S, size_of, sizes_in_request
from worker.intake.request_cost import cost_of
from worker.job import JobRequest
from worker.load.features.sizes.size import Size
from worker.load.workload import FLOOR, workload
from worker.workflow.catalog.catalog import bundled_catalog


def png(side: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (side, side)).save(file, "PNG")
    return file.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def upscaling(name: str) -> dict[str, Any]:
    """Return a workflow whose cost depends on the size of a picture."""
    return {
        "1": node("LoadImage", image=name),
        "2": node("UpscaleModelLoader", model_name="4x.pth"),
        "3": node("ImageUpscaleWithModel", upscale_model=link("2"), image=link("1")),
        "4": saved("3"),
    }


def test_files_have_sizes() -> None:
    """The size of a picture or video comes from its headers. Other and missing files have none."""
    assert size_of(png(300)) == Size(300, 300)
    assert size_of(BytesIO(mp4()), "a.mp4") == Size(48, 32, frames=FRAMES)
    assert (size_of(b"text"), size_of(Path("/nowhere"))) == (None, None)
    assert FRAMES_PER_S > 1


def stated(width: int, height: int) -> bytes:
    """Return a PNG of 64x64 pixels whose header states another size."""
    data = bytearray(png(64))
    data[16:24] = struct.pack(">II", width, height)
    return bytes(data)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_pictures_of_one_colour_have_their_true_size(form: str) -> None:
    """The smallest file of a picture is believed."""
    file = BytesIO()
    Image.new("L", (2048, 1024)).save(file, form)
    assert size_of(file.getvalue()) == Size(2048, 1024)


def test_a_header_is_believed_as_far_as_its_file_can_hold_the_size() -> None:
    """A header that states ten gigapixels in some bytes is no huge job, whatever the format."""
    huge = stated(100_000, 100_000)
    size = size_of(huge)
    assert size is not None
    assert size.width == size.height < 1100
    assert workload(upscaling("x"), sizes={"x": size}) < 2 * workload(upscaling("x"), sizes={"x": Size(1024, 1024)})
    wide = size_of(stated(4_000_000, 1000))
    assert wide is not None
    assert wide.width / wide.height == pytest.approx(4000)
    video = size_of(mp4().replace(struct.pack(">II", 48 << 16, 32 << 16), struct.pack(">II", 8192 << 16, 8192 << 16)))
    assert video is None or video.pixels <= 200_000 * len(mp4())


@pytest.mark.parametrize("text", ["a.png", f"data:image/png;base64,{encoded(png(300))}"])
def test_the_files_of_a_request_have_the_texts_that_name_them(text: str) -> None:
    """Files beside the prompt and in it are found by the text of their inputs, and determine the workload."""
    prompt, files = upscaling(text), (SentFile("a.png", png(300)), SentFile("b.png", png(99)))
    sizes = sizes_in_request(JobRequest(prompt=prompt), files, bundled_catalog())
    assert sizes == {text: Size(300, 300)}
    assert workload(prompt, sizes=sizes) == workload(upscaling("x"), sizes={"x": Size(300, 300)}) < workload(prompt)


@pytest.mark.parametrize("beside", [True, False])
async def test_the_workload_goes_by_the_file_in_the_body(client: Client, beside: bool) -> None:
    """The units of a job equal those that its client computes from the body, for short and for long files."""
    for side in (64, 700):
        data = png(side) if side < 100 else png(side) + bytes(100_000)
        text = "a.png" if beside else f"data:image/png;base64,{encoded(data)}"
        body: dict[str, Any] = {"workflow": upscaling(text)} | ({"inputs": {"a.png": encoded(data)}} if beside else {})
        _, result = await client.post("/generate/sync", body)
        expected = workload(upscaling("x"), bundled_catalog(), {"x": Size(side, side)})
        assert result["metadata"]["workload"] == expected


async def test_a_fetched_file_corrects_the_workload(engine: EngineHandle, tmp_path: Path) -> None:
    """The sizes of files that the body does not contain are known once the job is prepared, and change its workload."""
    shelf = engine.input / "sizes"
    shelf.mkdir(exist_ok=True)
    (shelf / "b.png").write_bytes(png(500))
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(serving(**{"a.png": content(png(200))}))
        settings = {"fetch_allow": opened(origin), "input_folders": "input/sizes"}
        client = await stack.enter_async_context(worker(engine, tmp_path, **settings))
        for name, side in ((origin.url("/a.png"), 200), ("sizes/b.png", 500)):
            _, result = await client.post("/generate/sync", {"workflow": upscaling(name)})
            expected = workload(upscaling("x"), bundled_catalog(), {"x": Size(side, side)})
            assert result["metadata"]["workload"] == expected


def test_the_client_computes_the_cost_of_its_request() -> None:
    """The cost that `comfy-worker run` announces is the workload by the files in its request."""
    request = {"workflow": upscaling("a.png"), "inputs": {"a.png": encoded(png(300))}}
    assert cost_of(request) == workload(upscaling("x"), sizes={"x": Size(300, 300)})
    assert cost_of({"workflow": {"nodes": []}}) == FLOOR
    assert cost_of({"input": {"handler": "any"}}) == FLOOR
