"""Implemented image nodes: sizes, pixels, batches, masks."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from tests.simulators.comfyui.client import EngineClient, Graph, is_event, picture


def one_node_prompt(
    class_type: str, inputs: dict[str, Any], width: int = 64, height: int = 32, color: int = 0xFF8000
) -> Graph:
    """Return a prompt that passes a coloured image through one node into SaveImage."""
    return {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": width, "height": height, "batch_size": 1, "color": color},
        },
        "n": {"class_type": class_type, "inputs": inputs},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["n", 0], "filename_prefix": "o"}},
    }


async def run_and_load_images(client: EngineClient, graph: Graph, node_id: str = "2") -> list[Image.Image]:
    """Run a prompt that must succeed, and return the images that the node reported."""
    entry = await client.run(graph)
    assert entry["status"]["completed"], entry["status"]["messages"][-1]
    images = []
    for file in entry["outputs"][node_id]["images"]:
        with Image.open(client.base / file["type"] / file["subfolder"] / file["filename"]) as image:
            image.load()
            images.append(image)
    return images


IMAGE = {"image": ["1", 0]}


@pytest.mark.parametrize(
    ("class_type", "inputs", "size"),
    [
        ("ImageScale", {"upscale_method": "lanczos", "width": 20, "height": 10, "crop": "disabled"}, (20, 10)),
        ("ImageScale", {"upscale_method": "area", "width": 32, "height": 0, "crop": "disabled"}, (32, 16)),
        ("ImageScale", {"upscale_method": "bicubic", "width": 16, "height": 16, "crop": "center"}, (16, 16)),
        ("ImageScaleBy", {"upscale_method": "bilinear", "scale_by": 1.5}, (96, 48)),
        ("ImageScaleToMaxDimension", {"upscale_method": "area", "largest_size": 32}, (32, 16)),
        (
            "ImageScaleToTotalPixels",
            {"upscale_method": "area", "megapixels": 0.01, "resolution_steps": 8},
            (144, 72),
        ),
        ("ImageCrop", {"width": 10, "height": 40, "x": 60, "y": 30}, (4, 2)),
        ("ImageFlip", {"flip_method": "x-axis: vertically"}, (64, 32)),
        ("ImageRotate", {"rotation": "90 degrees"}, (32, 64)),
        ("ImageBlur", {"blur_radius": 2, "sigma": 1.0}, (64, 32)),
        ("ImageSharpen", {"sharpen_radius": 2, "sigma": 1.0, "alpha": 1.0}, (64, 32)),
        (
            "ResizeAndPadImage",
            {"target_width": 40, "target_height": 40, "padding_color": "white", "interpolation": "area"},
            (40, 40),
        ),
        ("ImagePadForOutpaint", {"left": 1, "top": 2, "right": 3, "bottom": 4, "feathering": 0}, (68, 38)),
    ],
)
async def test_nodes_return_images_of_comfyuis_size(
    client: EngineClient, class_type: str, inputs: dict[str, Any], size: tuple[int, int]
) -> None:
    """Each node returns an image of the same size as ComfyUI's."""
    (image,) = await run_and_load_images(client, one_node_prompt(class_type, IMAGE | inputs))
    assert (image.size, image.mode) == (size, "RGB")


async def test_resize_supports_every_resize_type(client: EngineClient) -> None:
    """ResizeImageMaskNode supports every `resize_type`."""
    for kind, more, size in [
        ("scale by multiplier", {"multiplier": 2.0}, (128, 64)),
        ("scale longer dimension", {"longer_size": 32}, (32, 16)),
        ("scale shorter dimension", {"shorter_size": 16}, (32, 16)),
        ("scale width", {"width": 16}, (16, 8)),
        ("scale height", {"height": 16}, (32, 16)),
        ("scale to multiple", {"multiple": 24}, (48, 24)),
    ]:
        options = {f"resize_type.{name}": value for name, value in more.items()}
        inputs = {"input": ["1", 0], "resize_type": kind, "scale_method": "area"} | options
        (image,) = await run_and_load_images(client, one_node_prompt("ResizeImageMaskNode", inputs))
        assert image.size == size, kind


async def test_pixels_are_computed(client: EngineClient) -> None:
    """ImageInvert and ImageBlend compute real pixels."""
    (image,) = await run_and_load_images(client, one_node_prompt("ImageInvert", IMAGE))
    assert image.getpixel((0, 0)) == (0, 127, 255)
    graph = one_node_prompt(
        "ImageBlend", {"image1": ["1", 0], "image2": ["b", 0], "blend_factor": 0.5, "blend_mode": "normal"}
    )
    graph["b"] = {
        "class_type": "EmptyImage",
        "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0x0000FF},
    }
    (image,) = await run_and_load_images(client, graph)
    assert image.getpixel((3, 3)) == (127, 64, 127)


async def test_batches(client: EngineClient) -> None:
    """Batch nodes return as many images as ComfyUI's, and file names continue the counter."""
    graph = one_node_prompt("RepeatImageBatch", IMAGE | {"amount": 3})
    graph["j"] = {"class_type": "ImageBatch", "inputs": {"image1": ["n", 0], "image2": ["1", 0]}}
    graph["2"]["inputs"]["images"] = ["j", 0]
    assert len(await run_and_load_images(client, graph)) == 4
    graph["p"] = {"class_type": "ImageFromBatch", "inputs": {"image": ["j", 0], "batch_index": 1, "length": 2}}
    graph["2"]["inputs"]["images"] = ["p", 0]
    assert len(await run_and_load_images(client, graph)) == 2
    graph["r"] = {"class_type": "RebatchImages", "inputs": {"images": ["j", 0], "batch_size": 3}}
    graph["2"]["inputs"]["images"] = ["r", 0]
    entry = await client.run(graph)
    names = [file["filename"] for file in entry["outputs"]["2"]["images"]]
    assert names == [f"o_{number:05}_.png" for number in range(7, 11)]


async def test_masks(client: EngineClient) -> None:
    """A mask can be inverted, converted to an image, and joined as alpha."""
    graph = one_node_prompt("MaskToImage", {"mask": ["i", 0]})
    graph["m"] = {"class_type": "SolidMask", "inputs": {"value": 1.0, "width": 64, "height": 32}}
    graph["i"] = {"class_type": "InvertMask", "inputs": {"mask": ["m", 0]}}
    (image,) = await run_and_load_images(client, graph)
    assert image.getpixel((0, 0)) == (0, 0, 0)
    graph["n"] = {"class_type": "JoinImageWithAlpha", "inputs": {"image": ["1", 0], "alpha": ["m", 0]}}
    (image,) = await run_and_load_images(client, graph)
    assert (image.mode, image.getpixel((0, 0))) == ("RGBA", (255, 128, 0, 0))


async def test_empty_image_fails_when_saved(client: EngineClient) -> None:
    """Scaling an image to nothing succeeds, and saving it raises ValueError, as recorded."""
    inputs = IMAGE | {"upscale_method": "area", "scale_by": 0.01}
    entry = await client.run(one_node_prompt("ImageScaleBy", inputs, 1, 1))
    error = entry["status"]["messages"][-1][1]
    assert (error["node_type"], error["exception_type"]) == ("SaveImage", "ValueError")


async def test_image_size_is_sent_to_every_client(client: EngineClient) -> None:
    """GetImageSize sends a text frame to every client."""
    other = await client.listen("B")
    graph = picture()
    graph["s"] = {"class_type": "GetImageSize", "inputs": {"image": ["1", 0]}}
    graph["2"] = {"class_type": "PreviewAny", "inputs": {"source": ["s", 0]}}
    await client.submit(graph)
    frames = await other.until(lambda frame: isinstance(frame, bytes))
    assert frames[-1] == b"\0\0\0\x03\0\0\0\x01swidth: 64, height: 64\n batch size: 1"


async def test_switch_runs_only_the_chosen_branch(client: EngineClient) -> None:
    """ComfySwitchNode runs only the chosen branch, and is announced before and after it."""
    socket = await client.listen("A")
    graph = picture()
    graph["no"] = {"class_type": "EmbeddedFail", "inputs": {"image": ["1", 0], "message": "must not run"}}
    graph["yes"] = {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}}
    inputs = {"switch": True, "on_true": ["yes", 0], "on_false": ["no", 0]}
    graph["n"] = {"class_type": "ComfySwitchNode", "inputs": inputs}
    graph["2"]["inputs"]["images"] = ["n", 0]
    frames = await socket.until_ended(await client.submit(graph))
    announced = [frame["data"]["node"] for frame in frames if is_event(frame, "executing")]
    assert announced == ["n", "1", "yes", "n", "2", None]


async def test_math_expressions_are_computed(client: EngineClient) -> None:
    """ComfyMathExpression computes arithmetic and rejects anything else."""
    graph = picture()
    graph["m"] = {"class_type": "ComfyMathExpression", "inputs": {"expression": "(a // 32) * 32 + 1", "values.a": 100}}
    graph["1"]["inputs"]["width"] = ["m", 1]
    (image,) = await run_and_load_images(client, graph)
    assert image.size == (97, 64)
    graph["m"]["inputs"]["expression"] = "__import__('os')"
    entry = await client.run(graph)
    assert entry["status"]["messages"][-1][1]["node_type"] == "ComfyMathExpression"
