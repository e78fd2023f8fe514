"""Conversion of output images to another format, with or without their metadata."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image, PngImagePlugin

from worker.delivery_options import ImageFormat, ImageType
from worker.errors import ConversionFailed
from worker.job import Job, Output
from worker.outputs.files import Outputs, with_facts_and_hash
from worker.outputs.kinds import mime_of

TYPES = {".png": ImageType.PNG, ".jpg": ImageType.JPEG, ".jpeg": ImageType.JPEG, ".webp": ImageType.WEBP}
EXTENSIONS = {ImageType.PNG: ".png", ImageType.JPEG: ".jpg", ImageType.WEBP: ".webp"}
QUALITY = 90
MODEL, MAKE = 0x0110, 0x010F
"""EXIF tags of ComfyUI's metadata: MODEL for the prompt ("prompt:…"), MAKE and the tags below it for other entries."""
MOST_ENTRIES = 16
"""Most other entries that are read and written."""
JPEG_EXIF_LIMIT = 65_533 - len(b"Exif\0\0")
"""Most bytes of EXIF data in a JPEG, which has one segment for it."""
SIXTEEN_BIT = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})


async def converted(outputs: Outputs, job: Job, output: Output, requested: ImageFormat) -> Output:
    """Return the output in the requested format. The file that ComfyUI wrote is kept next to the new one.

    Animated images, and files other than PNG, JPEG or WebP, are not converted. Raises ConversionFailed.
    """
    current = TYPES.get(PurePosixPath(output.filename).suffix.lower())
    if output.text is not None or current is None:
        return output
    target = requested.type or current
    if target is current and requested.metadata and (requested.quality is None or current is ImageType.PNG):
        return output
    return await asyncio.to_thread(_convert, outputs, job, output, replace(requested, type=target))


def _convert(outputs: Outputs, job: Job, output: Output, requested: ImageFormat) -> Output:
    """Write the converted image next to the original, and return its output. Blocks. Raises ConversionFailed.

    An animated image is not converted, and its output is returned unchanged.
    """
    source = outputs.path(job, output)
    name = Path(output.filename).with_suffix(EXTENSIONS[requested.type or ImageType.PNG]).name
    result = replace(output, filename=name, mime=mime_of(name))
    path = outputs.path(job, result)
    # Written to another name first: the target may be a hard link to ComfyUI's file, which must not change.
    partial = path.with_name(f"{path.name}.partial")
    try:
        with Image.open(source) as image:
            if image.format is None or getattr(image, "n_frames", 1) > 1:
                return output
            _save(image, partial, requested)
        partial.replace(path)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ConversionFailed(f"{output.filename!r} could not be converted to {requested.type}") from error
    finally:
        partial.unlink(missing_ok=True)
    return with_facts_and_hash(path, result)


def _save(image: Image.Image, path: Path, requested: ImageFormat) -> None:
    """Save an image in the requested format. The colour profile is always kept."""
    texts, exif = _metadata_texts(image), image.getexif()
    options: dict[str, Any] = {}
    if profile := image.info.get("icc_profile"):
        options["icc_profile"] = profile  # colour, not metadata
    if requested.type is ImageType.PNG:
        _write_png(image, path, options, texts if requested.metadata else {}, exif if requested.metadata else None)
        return
    if requested.metadata:
        options |= _exif_option(exif, texts, JPEG_EXIF_LIMIT if requested.type is ImageType.JPEG else None)
    else:
        options |= {"comment": b"", "xmp": b""}  # Pillow copies these fields unless they are set
    saved_image = _opaque(image) if requested.type is ImageType.JPEG else _eight_bit(image)
    saved_image.save(path, requested.type, quality=requested.quality or QUALITY, **options)


def _write_png(
    image: Image.Image, path: Path, options: dict[str, Any], texts: Mapping[str, str], exif: Image.Exif | None
) -> None:
    """Save a PNG with `texts` as text chunks, and with `exif` or without EXIF data. `options` are Pillow's."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        with suppress(ValueError, UnicodeError):  # a keyword of another format may be invalid in PNG
            chunks.add_text(key, value)
    if exif:
        options["exif"] = exif
    else:
        image.info.pop("exif", None)
    image.save(path, "PNG", pnginfo=chunks, **options)


def _metadata_texts(image: Image.Image) -> dict[str, str]:
    """Return the metadata of an image: the text chunks of a PNG, or ComfyUI's entries in EXIF."""
    if isinstance(image, PngImagePlugin.PngImageFile):
        return {key: str(value) for key, value in image.text.items()}
    entries: dict[str, str] = {}
    for tag, value in image.getexif().items():
        key, separator, text = value.partition(":") if isinstance(value, str) else ("", "", "")
        if separator and MAKE - MOST_ENTRIES < tag <= MODEL and text.lstrip().startswith(("{", "[")):
            entries[key] = text
    return entries


def _exif_option(exif: Image.Exif, texts: Mapping[str, str], limit: int | None) -> dict[str, Any]:
    """Return Pillow's option with the metadata in the EXIF tags where ComfyUI looks for them.

    Metadata larger than `limit` bytes is left out.
    """
    tag = MAKE
    for key, value in texts.items():
        if key == "prompt":
            exif[MODEL] = f"{key}:{value}"
        elif tag > MAKE - MOST_ENTRIES:
            exif[tag] = f"{key}:{value}"
            tag -= 1
    data = exif.tobytes() if exif else b""
    if not data or (limit is not None and len(data) > limit):
        return {}
    return {"exif": data}


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return the image with 16-bit greys scaled to 8 bits. Pillow would clip them to white."""
    if image.mode in SIXTEEN_BIT:
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return image


def _opaque(image: Image.Image) -> Image.Image:
    """Return the image on a white background, because JPEG has no transparency."""
    image = _eight_bit(image)
    if not image.has_transparency_data:
        return image if image.mode == "L" else image.convert("RGB")
    image = image.convert("RGBA")
    background = Image.new("RGB", image.size, "white")
    background.paste(image, mask=image.getchannel("A"))
    return background
