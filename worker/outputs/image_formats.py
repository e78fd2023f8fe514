"""Pictures in another format, with or without what is written inside them; everything else stays as it is."""

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
from worker.outputs.files import Outputs, measured
from worker.outputs.kinds import mime_of

TYPES = {".png": ImageType.PNG, ".jpg": ImageType.JPEG, ".jpeg": ImageType.JPEG, ".webp": ImageType.WEBP}
EXTENSIONS = {ImageType.PNG: ".png", ImageType.JPEG: ".jpg", ImageType.WEBP: ".webp"}
QUALITY = 90
MODEL, MAKE = 0x0110, 0x010F
"""EXIF tags in which ComfyUI keeps the prompt ("prompt:…") and, counting down, the rest ("workflow:…")."""
JPEG_EXIF_LIMIT = 65_533 - len(b"Exif\0\0")
"""What fits into the one segment that JPEG has for it."""
SIXTEEN_BIT = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})


async def converted(outputs: Outputs, job: Job, output: Output, wanted: ImageFormat) -> Output:
    """The output as it is wanted; the file that ComfyUI wrote stays beside the new one.

    Animated pictures, and files that are no PNG, JPEG or WebP, are left alone. Raises ConversionFailed.
    """
    have = TYPES.get(PurePosixPath(output.filename).suffix.lower())
    if output.text is not None or have is None:
        return output
    target = wanted.type or have
    if target is have and wanted.metadata and (wanted.quality is None or have is ImageType.PNG):
        return output
    return await asyncio.to_thread(_convert, outputs, job, output, replace(wanted, type=target))


def _convert(outputs: Outputs, job: Job, output: Output, wanted: ImageFormat) -> Output:
    source = outputs.path(job, output)
    name = Path(output.filename).with_suffix(EXTENSIONS[wanted.type or ImageType.PNG]).name
    result = replace(output, filename=name, mime=mime_of(name))
    path = outputs.path(job, result)
    # Beside the target first: the file may be a link to ComfyUI's own, which must not change.
    partial = path.with_name(f"{path.name}.partial")
    try:
        with Image.open(source) as picture:
            if picture.format is None or getattr(picture, "n_frames", 1) > 1:
                return output
            _save(picture, partial, wanted)
        partial.replace(path)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ConversionFailed(f"{output.filename!r} could not be made a {wanted.type}") from error
    finally:
        partial.unlink(missing_ok=True)
    return measured(path, result)


def _save(picture: Image.Image, path: Path, wanted: ImageFormat) -> None:
    texts, exif = _texts(picture), picture.getexif()
    options: dict[str, Any] = {}
    if profile := picture.info.get("icc_profile"):
        options["icc_profile"] = profile  # colour, not metadata
    if wanted.type is ImageType.PNG:
        _write_png(picture, path, options, texts if wanted.metadata else {}, exif if wanted.metadata else None)
        return
    if wanted.metadata:
        options |= _exif(exif, texts, JPEG_EXIF_LIMIT if wanted.type is ImageType.JPEG else None)
    else:
        options |= {"comment": b"", "xmp": b""}  # Pillow hands them on unless they are overwritten
    ready = _flat(picture) if wanted.type is ImageType.JPEG else _eight_bit(picture)
    ready.save(path, wanted.type, quality=wanted.quality or QUALITY, **options)


def _write_png(
    picture: Image.Image, path: Path, options: dict[str, Any], texts: Mapping[str, str], exif: Image.Exif | None
) -> None:
    chunks = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        with suppress(ValueError, UnicodeError):  # a keyword that PNG can't hold came from another format
            chunks.add_text(key, value)
    if exif:
        options["exif"] = exif
    else:
        picture.info.pop("exif", None)
    picture.save(path, "PNG", pnginfo=chunks, **options)


def _texts(picture: Image.Image) -> dict[str, str]:
    """What is written inside the picture: a PNG's text chunks, or what ComfyUI put into EXIF instead."""
    if isinstance(picture, PngImagePlugin.PngImageFile):
        return {key: str(value) for key, value in picture.text.items()}
    found: dict[str, str] = {}
    for tag, value in picture.getexif().items():
        key, separator, text = value.partition(":") if isinstance(value, str) else ("", "", "")
        if separator and MAKE - 16 < tag <= MODEL and text.lstrip().startswith(("{", "[")):
            found[key] = text
    return found


def _exif(exif: Image.Exif, texts: Mapping[str, str], limit: int | None) -> dict[str, Any]:
    """Where ComfyUI looks for them in formats without text chunks. What does not fit into the format is left out."""
    rest = MAKE
    for key, value in texts.items():
        if key == "prompt":
            exif[MODEL] = f"{key}:{value}"
        elif rest > MAKE - 16:
            exif[rest] = f"{key}:{value}"
            rest -= 1
    data = exif.tobytes() if exif else b""
    if not data or (limit is not None and len(data) > limit):
        return {}
    return {"exif": data}


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Sixteen-bit greys scaled down; Pillow would cut them off at white."""
    if picture.mode in SIXTEEN_BIT:
        return picture.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    return picture


def _flat(picture: Image.Image) -> Image.Image:
    """JPEG has no transparency: what is see-through lies on white."""
    picture = _eight_bit(picture)
    if not picture.has_transparency_data:
        return picture if picture.mode == "L" else picture.convert("RGB")
    picture = picture.convert("RGBA")
    ground = Image.new("RGB", picture.size, "white")
    ground.paste(picture, mask=picture.getchannel("A"))
    return ground
