"""Conversion of images to the requested format, with or without metadata."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import aiohttp
import pytest
from PIL import Image, PngImagePlugin

from worker.delivery_options import ImageFormat, ImageType
from worker.engine.protocol.api import ComfyApi
from worker.errors import ConversionFailed
from worker.job import Job, JobRequest, Output
from worker.outputs.files import Outputs, OutputSource
from worker.outputs.image_formats import converted

WORKFLOW = {"nodes": [{"id": 1, "title": "süß"}]}
PROMPT = {"1": {"class_type": "EmptyImage", "inputs": {}}}


class JobWithImage:
    """A job with one image in its folder."""

    def __init__(self, folder: Path) -> None:
        api = ComfyApi(aiohttp.ClientSession, "http://127.0.0.1:9")  # type: ignore[arg-type]
        self.outputs = Outputs({"engine-0": OutputSource(api)}, folder)
        self.job = Job("a", JobRequest(prompt={}))
        self.outputs.make_folder(self.job)

    def put(self, image: Image.Image, name: str, **options: object) -> Output:
        output = Output(0, "9", "image", name, mime="image/png")
        image.save(self.outputs.path(self.job, output), **options)  # type: ignore[arg-type]
        return output

    async def convert(self, output: Output, requested: ImageFormat) -> tuple[Output, Image.Image]:
        result = await converted(self.outputs, self.job, output, requested)
        image = Image.open(self.outputs.path(self.job, result))
        image.load()
        return result, image


@pytest.fixture
def picture_job(tmp_path: Path) -> JobWithImage:
    return JobWithImage(tmp_path)


def comfy_png(picture_job: JobWithImage, mode: str = "RGB", color: object = (200, 10, 10)) -> Output:
    """Return a PNG as ComfyUI writes it, with prompt and workflow in text chunks."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("prompt", json.dumps(PROMPT))
    chunks.add_text("workflow", json.dumps(WORKFLOW))
    return picture_job.put(Image.new(mode, (32, 16), color), "a.png", pnginfo=chunks)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("type", "name", "mime", "format"),
    [
        (ImageType.JPEG, "a.jpg", "image/jpeg", "JPEG"),
        (ImageType.WEBP, "a.webp", "image/webp", "WEBP"),
    ],
)
async def test_a_png_is_converted(
    picture_job: JobWithImage, type: ImageType, name: str, mime: str, format: str
) -> None:
    """converted returns name, type, size, hash and dimensions of the new file, and keeps ComfyUI's file."""
    output = comfy_png(picture_job)
    result, image = await picture_job.convert(output, ImageFormat(type))
    path = picture_job.outputs.path(picture_job.job, result)
    assert (result.filename, result.mime, image.format, image.size) == (name, mime, format, (32, 16))
    assert (result.width, result.height, result.size) == (32, 16, path.stat().st_size)
    assert result.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert picture_job.outputs.path(picture_job.job, output).exists()
    assert [file.suffix for file in path.parent.iterdir() if file.suffix == ".partial"] == []


@pytest.mark.parametrize("type", [ImageType.JPEG, ImageType.WEBP])
async def test_kept_metadata_is_where_comfyui_looks_for_it(picture_job: JobWithImage, type: ImageType) -> None:
    """converted keeps metadata in EXIF as `prompt:` and `workflow:`, where ComfyUI's editor reads it."""
    _, image = await picture_job.convert(comfy_png(picture_job), ImageFormat(type))
    exif = image.getexif()
    assert exif[0x0110] == "prompt:" + json.dumps(PROMPT)
    assert exif[0x010F] == "workflow:" + json.dumps(WORKFLOW)


@pytest.mark.parametrize("type", list(ImageType))
async def test_metadata_is_stripped(picture_job: JobWithImage, type: ImageType) -> None:
    """converted removes the complete workflow from the file with `metadata: strip`."""
    result, image = await picture_job.convert(comfy_png(picture_job), ImageFormat(type, metadata=False))
    data = picture_job.outputs.path(picture_job.job, result).read_bytes()
    assert b"class_type" not in data
    assert b"nodes" not in data
    assert not image.getexif()


async def test_metadata_of_webp_is_kept_in_png(picture_job: JobWithImage) -> None:
    """converted writes the metadata of a WebP of ComfyUI into the text chunks of a PNG."""
    exif = Image.Exif()
    exif[0x0110] = "prompt:" + json.dumps(PROMPT)
    output = picture_job.put(Image.new("RGB", (8, 8)), "a.webp", exif=exif)
    _, image = await picture_job.convert(output, ImageFormat(ImageType.PNG))
    assert json.loads(image.info["prompt"]) == PROMPT


async def test_metadata_that_is_too_large_for_jpeg_is_left_out(picture_job: JobWithImage) -> None:
    """converted leaves out metadata of more than 64 KiB in a JPEG."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("workflow", json.dumps({"nodes": ["x" * 70_000]}))
    output = picture_job.put(Image.new("RGB", (8, 8)), "a.png", pnginfo=chunks)
    _, image = await picture_job.convert(output, ImageFormat(ImageType.JPEG))
    assert (image.format, dict(image.getexif())) == ("JPEG", {})


async def test_the_same_format_changes_nothing(picture_job: JobWithImage) -> None:
    """converted leaves a file unchanged that already has the requested format."""
    output = comfy_png(picture_job)
    before = picture_job.outputs.path(picture_job.job, output).read_bytes()
    for requested in (ImageFormat(), ImageFormat(ImageType.PNG)):
        result, _ = await picture_job.convert(output, requested)
        assert result is output
    assert picture_job.outputs.path(picture_job.job, output).read_bytes() == before


async def test_comfyuis_own_file_is_never_written_to(picture_job: JobWithImage, tmp_path: Path) -> None:
    """converted does not write to a hard link of ComfyUI's file."""
    output = comfy_png(picture_job)
    path = picture_job.outputs.path(picture_job.job, output)
    os.link(path, tmp_path / "comfyuis.png")
    before = path.read_bytes()
    await picture_job.convert(output, ImageFormat(metadata=False))
    assert (tmp_path / "comfyuis.png").read_bytes() == before
    assert path.read_bytes() != before


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("RGBA", (0, 0, 0, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 255, 255), (0, 0, 254)),
        ("LA", (0, 0), (255, 255, 255)),
        ("P", 0, (0, 0, 0)),
        ("1", 1, (255, 255, 255)),
    ],
)
async def test_transparency_is_white_in_jpeg(
    picture_job: JobWithImage, mode: str, color: object, expected: tuple
) -> None:
    """converted puts transparent areas on white in a JPEG."""
    output = picture_job.put(Image.new(mode, (16, 16), color), "a.png")  # type: ignore[arg-type]
    _, image = await picture_job.convert(output, ImageFormat(ImageType.JPEG, quality=95))
    assert image.convert("RGB").getpixel((8, 8)) == pytest.approx(expected, abs=3)


async def test_sixteen_bit_greys_keep_their_shades(picture_job: JobWithImage) -> None:
    """converted scales 16-bit greys to 8 bits."""
    output = picture_job.put(Image.new("I;16", (16, 16), 32768), "a.png")
    for requested in (ImageType.JPEG, ImageType.WEBP):
        _, image = await picture_job.convert(output, ImageFormat(requested))
        assert image.convert("L").getpixel((8, 8)) == pytest.approx(128, abs=3)


async def test_quality_makes_a_difference(picture_job: JobWithImage) -> None:
    """converted writes a smaller file for a lower quality, also from WebP to WebP."""
    noise = Image.effect_noise((128, 128), 80).convert("RGB")
    sizes = [
        (await picture_job.convert(picture_job.put(noise, "a.png"), ImageFormat(ImageType.WEBP, quality)))[0].size
        for quality in (20, 95)
    ]
    assert sizes[0] < sizes[1] / 2


async def test_animated_images_and_other_files_are_not_converted(picture_job: JobWithImage) -> None:
    """converted leaves animated images and other files unchanged."""
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green", "blue")]
    output = picture_job.put(frames[0], "a.webp", save_all=True, append_images=frames[1:])
    assert await converted(picture_job.outputs, picture_job.job, output, ImageFormat(ImageType.PNG)) is output
    for name in ("a.mp4", "a.flac", "a.gif", "noextension"):
        other = Output(1, "9", "video", name)
        assert await converted(picture_job.outputs, picture_job.job, other, ImageFormat(ImageType.PNG)) is other
    text = Output(2, "9", "text", "", text="a.png")
    assert await converted(picture_job.outputs, picture_job.job, text, ImageFormat(ImageType.PNG)) is text


async def test_a_damaged_image_is_reported_and_kept(picture_job: JobWithImage) -> None:
    """converted raises ConversionFailed for a damaged image, and keeps the file."""
    output = comfy_png(picture_job)
    path = picture_job.outputs.path(picture_job.job, output)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ConversionFailed, match="could not be converted"):
        await picture_job.convert(output, ImageFormat(ImageType.WEBP))
    assert [file.name for file in path.parent.iterdir()] == ["0-a.png"]
