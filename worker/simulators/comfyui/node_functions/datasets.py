"""Pictures and captions for training: written into a folder of output, and not reported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from worker.simulators.comfyui.classes.values import Images, Value
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeError, NodeFunction, NodeResult
from worker.simulators.comfyui.folders import OutsideFolder, inside
from worker.simulators.comfyui.node_functions.saving import output_slots


def save_pictures(call: NodeCall) -> NodeResult:
    """Takes lists of one picture each; a batch of several raises what Pillow raises in ComfyUI."""
    _write_pictures(call)
    return NodeResult()


def save_captioned_pictures(call: NodeCall) -> NodeResult:
    paths = _write_pictures(call)
    for path, caption in zip(paths, _list(call, "texts"), strict=False):
        path.with_name(path.name.replace(".png", ".txt")).write_text(str(caption), encoding="utf-8")
    return NodeResult()


def _write_pictures(call: NodeCall) -> list[Path]:
    folder = _folder(call)
    prefix, overwrite = _first(call, "filename_prefix", "image"), _first(call, "mode", "overwrite") == "overwrite"
    inside_output = str(folder.relative_to(call.context.folders.path("output")) / prefix)
    paths = []
    for index, batch in enumerate(_list(call, "images")):
        if not isinstance(batch, Images) or len(batch.frames) != 1:
            raise _unfit(batch)
        counted = prefix if overwrite else output_slots(call, inside_output).next("png", tail="")[0].stem
        paths.append(folder / f"{counted}_{index:05}.png")
        batch.frames[0].save(paths[-1], format="PNG")
    return paths


def _folder(call: NodeCall) -> Path:
    name, output = _first(call, "folder_name", "dataset"), call.context.folders.path("output")
    try:
        folder = inside(output, name)
    except OutsideFolder as error:
        message = f"Invalid folder name {name!r}: resolves outside of {output}"
        raise NodeError(message, "ValueError") from error
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _list(call: NodeCall, name: str) -> list[Value]:
    given = call.inputs.get(name)
    return given if isinstance(given, list) else [] if given is None else [given]


def _first(call: NodeCall, name: str, default: str) -> str:
    value = next(iter(_list(call, name)), default)
    return value if isinstance(value, str) else default


def _unfit(value: Value) -> NodeError:
    shape = f"(1, 1, {value.size[0]}, 3), |u1" if isinstance(value, Images) else type(value).__name__
    return NodeError(f"Cannot handle this data type: {shape}", "TypeError")


NODES: Mapping[str, NodeFunction] = {
    "SaveImageDataSetToFolder": save_pictures,
    "SaveImageTextDataSetToFolder": save_captioned_pictures,
}
