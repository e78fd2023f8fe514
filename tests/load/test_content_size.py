"""The sizes of the content that nodes work on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.prompts import link, node
from worker.load.features.content_size import UPLOADED_VIDEO, ContentSizes, Size
from worker.load.features.prompt_graph import PromptGraph

FILES = {"a.png": Size(2000, 1000), "b.mp4": Size(1280, 720, 300), "small.png": Size(400, 800)}
LATENT = node("EmptyLatentImage", width=512, height=256, batch_size=1)


def size_after(between: Any, **more: Any) -> Size | None:
    """Return the size that a node outputs, beside a latent "5", a picture "0" and a video "v"."""
    prompt = {
        "5": LATENT,
        "0": node("LoadImage", image="a.png"),
        "s": node("LoadImage", image="small.png"),
        "v": node("VHS_LoadVideo", video="b.mp4", frame_load_cap=0),
        "b": between,
        "n": node("PrimitiveInt", value=1024),
        "r": node("RepeatLatentBatch", samples=link("5"), amount=4),
        "half": node("ComfyMathExpression", expression="max(a / 2, 1) + 1", **{"values.a": link("n")}),
        "g": node("GetImageSize", image=link("0")),
        **more,
    }
    return ContentSizes(PromptGraph(prompt), FILES).size_at("b")


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        (node("LatentUpscaleBy", samples=link("5"), scale_by=2.0), Size(1024, 512)),
        (node("LatentUpscale", samples=link("5"), width=1024, height=512), Size(1024, 512)),
        (node("RepeatLatentBatch", samples=link("5"), amount=4), Size(512, 256, batch=4)),
        (node("LatentFromBatch", samples=link("r"), batch_index=0, length=2), Size(512, 256, batch=2)),
        (node("LatentFromBatch", samples=link("r"), batch_index=0, length=4096), Size(512, 256, batch=4)),
        (node("ImageFromBatch", image=link("v"), batch_index=4, length=4096), Size(1280, 720, frames=300)),
        (node("RebatchImages", images=link("v"), batch_size=4096), Size(1280, 720, frames=300)),
        (node("EmptyLatentImage", width=link("half"), height=link("half"), batch_size=1), Size(513, 513)),
        (node("VAEEncode", pixels=link("0"), vae=link("9")), Size(2000, 1000)),
        (node("Switch", any_01=link("5")), Size(512, 256)),
        (node("EmptyLatentImage", width=link("n"), height=512, batch_size=1), Size(1024, 512)),
        (node("EmptyLatentImage", width=link("g"), height=link("g", 1), batch_size=1), Size(2000, 1000)),
        (node("EmptyLatentAudio", seconds=32.0), Size(128 * 128, 1, frames=32)),
        (node("ImageScale", image=link("0"), width=500, height=0), Size(500, 250)),
        (node("ImageScaleToTotalPixels", image=link("0"), megapixels=2.0), Size(2048, 1024)),
        (node("FluxKontextImageScale", image=link("s")), Size(724, 1448)),
        (node("ImageScaleToMaxDimension", image=link("s"), largest_size=1600), Size(800, 1600)),
        (node("ResizeImageMaskNode", input=link("s"), **{"resize_type.shorter_size": 200}), Size(200, 400)),
        (node("ResizeImageMaskNode", input=link("s"), **{"resize_type.multiplier": 3.0}), Size(1200, 2400)),
        (node("SDXLEmptyLatentSizePicker+", resolution="1216x832 (1.46)"), Size(1216, 832)),
        (node("ImageBatch", image1=link("0"), image2=link("s")), Size(2000, 1000, batch=2)),
        (node("ImageStitch", image1=link("0"), image2=link("0"), direction="right"), Size(4000, 1000)),
        (node("ImagePadForOutpaint", image=link("s"), left=100, right=50, top=0, bottom=8), Size(550, 808)),
        (node("NobodyKnows"), None),
    ],
)
def test_sizes_are_followed_to_their_source(between: Any, expected: Size | None) -> None:
    """Sizes come from upscales, batches, switches, linked numbers and files, and a single side keeps the aspect."""
    size = size_after(between)
    assert (size is None) == (expected is None)
    if size and expected:
        assert (size.width, size.height) == pytest.approx((expected.width, expected.height), rel=0.01)
        assert (size.frames, size.batch) == (expected.frames, expected.batch)


@pytest.mark.parametrize(
    ("inputs", "frames"),
    [
        ({"video": "b.mp4", "frame_load_cap": 0}, 300),
        ({"video": "b.mp4", "frame_load_cap": 81}, 81),
        ({"video": "b.mp4", "frame_load_cap": 1000}, 300),
        ({"video": "b.mp4", "select_every_nth": 3}, 100),
        ({"video": "b.mp4", "select_every_nth": 3, "frame_load_cap": 30}, 30),
        ({"video": "unknown.mp4", "frame_load_cap": 0}, UPLOADED_VIDEO.frames),
        ({"video": "unknown.mp4", "frame_load_cap": 200}, 200),
    ],
)
def test_a_loader_keeps_a_part_of_the_frames(inputs: dict[str, Any], frames: float) -> None:
    """A loader takes every nth frame up to a maximum, and no more frames than the file has if that is known."""
    size = size_after(node("VHS_LoadVideo", **inputs))
    assert size is not None
    assert size.frames == frames


def test_frames_are_added_between_frames() -> None:
    """An interpolation multiplies the frames of a video."""
    size = size_after(node("RIFE VFI", frames=link("v"), multiplier=4))
    assert size is not None
    assert (size.width, size.height, size.frames) == (1280, 720, 1200)


def test_the_factor_of_an_upscale_model_is_in_its_file_name() -> None:
    """Models without a number in their name have the factor 4."""
    for file, factor in (("RealESRGAN_x2.pth", 2), ("4x-UltraSharp.pth", 4), ("own.pth", 4), ("1x_denoise.pth", 1)):
        model = node("UpscaleModelLoader", model_name=file)
        size = size_after(node("ImageUpscaleWithModel", upscale_model=link("m"), image=link("s")), m=model)
        assert size == Size(400 * factor, 800 * factor)
