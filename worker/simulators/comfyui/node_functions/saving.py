"""Nodes that save images and text to output, or send images over the WebSocket."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from worker.simulators.comfyui.classes import placeholder
from worker.simulators.comfyui.classes.registry import Fingerprint
from worker.simulators.comfyui.classes.values import Images, Trace
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeError, NodeFunction, NodeResult, PromptContext
from worker.simulators.comfyui.execution.progress import PreviewImage
from worker.simulators.comfyui.folders import ComfyFolders, OutsideFolder, SaveSlots
from worker.simulators.comfyui.media.deep_images import write_exr, write_png16
from worker.simulators.comfyui.server.frames import PreviewFormat

SAVED_COMPRESSION = 4
PREVIEW_COMPRESSION = 1
NO_IMAGE = (1, 1)
"""The size that SaveText uses for `%width%` and `%height%` in a prefix."""


def save_image(call: NodeCall) -> NodeResult:
    """Save as PNG of 8 bits a channel."""
    images = call.images("images")
    slots = output_slots(call, call.text("filename_prefix", "ComfyUI"), images.size)
    return NodeResult((images,), {"images": write_pngs(images, slots, png_texts(call.context), SAVED_COMPRESSION)})


def save_image_as(call: NodeCall) -> NodeResult:
    """Save as PNG of 8 or 16 bits a channel, or as EXR. Unlike those of SaveImage, the names end in the number."""
    images = call.images("images")
    kind = choice_value(call, "format", ("png", "exr"))
    slots = output_slots(call, call.text("filename_prefix", "ComfyUI"), images.size)
    files: list[object] = []
    for number, frame in enumerate(images.frames):
        path, saved = slots.next(kind, tail="", batch_number=number)
        if kind == "exr":
            path.write_bytes(write_exr(frame, workflow_metadata(call.context)))
        elif call.text("format.bit_depth", "8-bit") == "16-bit":
            path.write_bytes(write_png16(frame, workflow_metadata(call.context)))
        else:
            save_png(frame, path, png_texts(call.context), SAVED_COMPRESSION)
        files.append(saved.as_json())
    return NodeResult((images,), {"images": files})


def save_image_websocket(call: NodeCall) -> NodeResult:
    """Send each image as a PNG preview of its own size. No file is written and nothing is reported."""
    frames = call.images("images").frames
    for index, frame in enumerate(frames):
        body = BytesIO()
        frame.save(body, format="PNG", compress_level=PREVIEW_COMPRESSION)
        call.step(index, len(frames), PreviewImage(PreviewFormat.PNG, body.getvalue()))
    return NodeResult()


def save_text(call: NodeCall) -> NodeResult:
    """Save a text. In the format `json`, valid JSON is written with indents."""
    text, kind = call.text("text"), call.text("format", "txt")
    path, saved = output_slots(call, call.text("filename_prefix", "ComfyUI"), NO_IMAGE).next(kind, tail="")
    path.write_text(_indented(text) if kind == "json" else text, encoding="utf-8")
    return NodeResult((text,), {"text": [text], "files": [saved.as_json()]})


def output_slots(call: NodeCall, prefix: str, size: tuple[int, int] = (0, 0)) -> SaveSlots:
    """Return free file names below output for a prefix.

    Raises NodeError with ComfyUI's own message when the prefix leads out of output.
    """
    try:
        return call.context.folders.save_slots(prefix, "output", size)
    except OutsideFolder as error:
        base = call.context.folders.path("output")
        message = "**** ERROR: Saving image outside the output folder is not allowed."
        raise NodeError(f"{message}\n full_output_folder: {error}\n         output_dir: {base}") from error


def choice_value(call: NodeCall, name: str, choices: tuple[str, ...]) -> str:
    """Return the value of a dynamic combo.

    Raises NodeError of the type TypeError for an invalid choice, for which ComfyUI passes no argument.
    """
    value = call.inputs.get(name)
    if isinstance(value, str) and value in choices:
        return value
    message = f"{call.node_class.name}.execute() missing 1 required positional argument: {name!r}"
    raise NodeError(message, "TypeError")


def workflow_metadata(context: PromptContext) -> dict[str, str]:
    """Return the metadata that savers embed: the prompt and every key of `extra_pnginfo`, as JSON with ASCII only.

    An `extra_pnginfo` of another type raises the exception that Python raises in ComfyUI.
    """
    extra = context.extra_data.get("extra_pnginfo")
    match extra:
        case dict():
            return {"prompt": json.dumps(context.prompt), **{key: json.dumps(value) for key, value in extra.items()}}
        case None | [] | "":
            return {"prompt": json.dumps(context.prompt)}
        case list():
            raise NodeError("list indices must be integers or slices, not str", "TypeError")
        case str():
            raise NodeError("string indices must be integers, not 'str'", "TypeError")
        case _:
            raise NodeError(f"'{type(extra).__name__}' object is not iterable", "TypeError")


def png_texts(context: PromptContext) -> PngInfo:
    """Return the metadata of the prompt as PNG text chunks."""
    texts = PngInfo()
    for key, text in workflow_metadata(context).items():
        texts.add_text(key, text)
    return texts


def file_comment(trace: Trace) -> str:
    """Return the comment for files whose format has one: the engine's label, the seed and the text."""
    return f"{placeholder.LABEL}; seed {trace.seed}; {trace.text[:400]}"


def write_pngs(images: Images, slots: SaveSlots, texts: PngInfo | None, compression: int) -> list[object]:
    """Write each image as PNG, and return the entries for the node's `ui` output."""
    files: list[object] = []
    for number, frame in enumerate(images.frames):
        path, saved = slots.next("png", batch_number=number)
        save_png(frame, path, texts, compression)
        files.append(saved.as_json())
    return files


def save_png(frame: Image.Image, path: Path, texts: PngInfo | None, compression: int) -> None:
    """Write one image as PNG."""
    frame.save(path, format="PNG", pnginfo=texts, compress_level=compression)


def _indented(text: str) -> str:
    """Return JSON with indents, or the text unchanged when it is not JSON."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


def _new_fingerprint(inputs: Mapping[str, object], folders: ComfyFolders) -> str:
    """Return another fingerprint at each call, so that the node runs for every prompt."""
    return str(time.time_ns())


NODES: Mapping[str, NodeFunction] = {
    "SaveImage": save_image,
    "SaveImageAdvanced": save_image_as,
    "SaveImageWebsocket": save_image_websocket,
    "SaveText": save_text,
}
FINGERPRINTS: Mapping[str, Fingerprint] = {"SaveImageWebsocket": _new_fingerprint}
