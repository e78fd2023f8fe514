"""Pictures and text that leave: files in output and temp, and frames on the WebSocket."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from io import BytesIO

from PIL.PngImagePlugin import PngInfo

from worker.simulators.comfyui.classes import coerce, placeholder
from worker.simulators.comfyui.classes.registry import Change
from worker.simulators.comfyui.classes.values import Pictures, Trace, Value
from worker.simulators.comfyui.execution.calling import Node, NodeCall, NodeError, Result, Site
from worker.simulators.comfyui.execution.progress import PreviewImage
from worker.simulators.comfyui.folders import ComfyFolders, OutsideFolder, SaveSlots, temp_prefix
from worker.simulators.comfyui.server.frames import Picture

SAVED_COMPRESSION = 4
PREVIEW_COMPRESSION = 1


def save_image(call: NodeCall) -> Result:
    """8-bit PNG files, also for SaveImageAdvanced, whatever format that is asked for."""
    pictures = call.pictures("images")
    slots = place(call, call.text("filename_prefix", "ComfyUI"), pictures.size)
    return Result((pictures,), {"images": _write_pngs(call.site, pictures, slots, SAVED_COMPRESSION)})


def preview_image(call: NodeCall) -> Result:
    pictures = call.pictures("images")
    return Result((pictures,), {"images": _write_pngs(call.site, pictures, _temp(call), PREVIEW_COMPRESSION)})


def compare_images(call: NodeCall) -> Result:
    """Two lists of previews, one for each side of the slider."""
    shown = {}
    for side in ("a", "b"):
        value = call.inputs.get(f"image_{side}")
        files = (
            [] if value is None else _write_pngs(call.site, coerce.pictures(value), _temp(call), PREVIEW_COMPRESSION)
        )
        shown[f"{side}_images"] = files
    return Result(shown=shown)


def mask_preview(call: NodeCall) -> Result:
    masks = call.masks("mask")
    pictures = Pictures(tuple(mask.convert("RGB") for mask in masks.frames))
    files = _write_pngs(call.site, pictures, _temp(call), PREVIEW_COMPRESSION)
    return Result((masks,), {"images": files, "animated": [False]})


def save_image_websocket(call: NodeCall) -> Result:
    """Send each picture as a PNG preview of its own size; nothing is written or shown."""
    frames = call.pictures("images").frames
    for index, frame in enumerate(frames):
        body = BytesIO()
        frame.save(body, format="PNG", compress_level=PREVIEW_COMPRESSION)
        call.step(index, len(frames), PreviewImage(Picture.PNG, body.getvalue()))
    return Result()


def preview_any(call: NodeCall) -> Result:
    """Show any value as text; scalars and texts as they are, other things as what they are called."""
    text = as_text(call.inputs.get("source"))
    return Result((text,), {"text": [text]})


def save_text(call: NodeCall) -> Result:
    text = call.text("text")
    path, saved = place(call, call.text("filename_prefix", "ComfyUI")).next(call.text("format", "txt"), tail="")
    path.write_text(text, encoding="utf-8")
    return Result((text,), {"text": [text], "files": [saved.listed()]})


def place(call: NodeCall, prefix: str, size: tuple[int, int] = (0, 0)) -> SaveSlots:
    """Find names below output; a prefix that leaves it fails the node, as ComfyUI's own check does."""
    try:
        return call.site.folders.place(prefix, "output", size)
    except OutsideFolder as error:
        base = call.site.folders.path("output")
        message = "**** ERROR: Saving image outside the output folder is not allowed."
        raise NodeError(f"{message}\n full_output_folder: {error}\n         output_dir: {base}") from error


def metadata(site: Site) -> dict[str, str]:
    """What savers hide in their files: the prompt, and every key of `extra_pnginfo`, as JSON (ASCII only)."""
    extra = site.extra_data.get("extra_pnginfo")
    more = extra.items() if isinstance(extra, dict) else ()
    return {"prompt": json.dumps(site.prompt), **{key: json.dumps(value) for key, value in more}}


def comment(trace: Trace) -> str:
    """A line for files that can carry one: what they are and what they stand for."""
    return f"{placeholder.LABEL}; seed {trace.seed}; {trace.text[:400]}"


def as_text(value: Value) -> str:
    match value:
        case str():
            return value
        case bool() | int() | float() | None:
            return str(value)
        case list() | dict():
            return json.dumps(value, indent=4, default=str)
        case _:
            return str(value)


def _temp(call: NodeCall) -> SaveSlots:
    return call.site.folders.place(temp_prefix(), "temp")


def _write_pngs(site: Site, pictures: Pictures, slots: SaveSlots, compression: int) -> list[object]:
    texts = PngInfo()
    for key, text in metadata(site).items():
        texts.add_text(key, text)
    files: list[object] = []
    for number, frame in enumerate(pictures.frames):
        path, saved = slots.next("png", batch_number=number)
        frame.save(path, format="PNG", pnginfo=texts, compress_level=compression)
        files.append(saved.listed())
    return files


def _always(inputs: Mapping[str, object], folders: ComfyFolders) -> str:
    return str(time.time_ns())


NODES: Mapping[str, Node] = {
    "SaveImage": save_image,
    "SaveImageAdvanced": save_image,
    "ImageCompare": compare_images,
    "PreviewImage": preview_image,
    "MaskPreview": mask_preview,
    "SaveImageWebsocket": save_image_websocket,
    "PreviewAny": preview_any,
    "SaveText": save_text,
}
CHANGES: Mapping[str, Change] = {"SaveImageWebsocket": _always}
