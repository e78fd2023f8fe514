"""Nodes that save images and captions for training in a folder of output. The files are not reported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from worker.simulators.comfyui.classes.values import Images, Value
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeError, NodeFunction, NodeResult
from worker.simulators.comfyui.folders import OutsideFolder, inside
from worker.simulators.comfyui.node_functions.saving import output_slots


def save_images(call: NodeCall) -> NodeResult:
    """Save a list of images. Raises NodeError for a batch of several images, as Pillow does in ComfyUI."""
    _write_images(call)
    return NodeResult()


def save_captioned_images(call: NodeCall) -> NodeResult:
    """Save a list of images, and the caption of each as a text file of the same name."""
    paths = _write_images(call)
    for path, caption in zip(paths, _list(call, "texts"), strict=False):
        path.with_name(path.name.replace(".png", ".txt")).write_text(str(caption), encoding="utf-8")
    return NodeResult()


def _write_images(call: NodeCall) -> list[Path]:
    """Write the images of the input list to the folder of the dataset, and return their paths.

    Raises NodeError when an item is not a batch of one image.
    """
    folder = _folder(call)
    prefix = _first(call, "filename_prefix", "image")
    overwrites = _first(call, "mode", "overwrite") == "overwrite"
    prefix_in_output = str(folder.relative_to(call.context.folders.path("output")) / prefix)
    paths = []
    for index, batch in enumerate(_list(call, "images")):
        if not isinstance(batch, Images) or len(batch.frames) != 1:
            raise _unsupported_data(batch)
        stem = prefix
        if not overwrites:
            free_path, _ = output_slots(call, prefix_in_output).next("png", tail="")
            stem = free_path.stem
        paths.append(folder / f"{stem}_{index:05}.png")
        batch.frames[0].save(paths[-1], format="PNG")
    return paths


def _folder(call: NodeCall) -> Path:
    """Return the folder of the dataset, and create it. Raises NodeError for a name that leads out of output."""
    name, output = _first(call, "folder_name", "dataset"), call.context.folders.path("output")
    try:
        folder = inside(output, name)
    except OutsideFolder as error:
        message = f"Invalid folder name {name!r}: resolves outside of {output}"
        raise NodeError(message, "ValueError") from error
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _list(call: NodeCall, name: str) -> list[Value]:
    """Return an input as a list: the list itself, one value in a list, or an empty list when it is missing."""
    value = call.inputs.get(name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _first(call: NodeCall, name: str, default: str) -> str:
    """Return the first item of an input as text, or the default."""
    value = next(iter(_list(call, name)), default)
    return value if isinstance(value, str) else default


def _unsupported_data(value: Value) -> NodeError:
    """Return the error that Pillow raises for a batch of several images."""
    shape = f"(1, 1, {value.size[0]}, 3), |u1" if isinstance(value, Images) else type(value).__name__
    return NodeError(f"Cannot handle this data type: {shape}", "TypeError")


NODES: Mapping[str, NodeFunction] = {
    "SaveImageDataSetToFolder": save_images,
    "SaveImageTextDataSetToFolder": save_captioned_images,
}
