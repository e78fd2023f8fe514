"""Functions of the classes that only this engine has: nodes that wait or fail, big files, and unusual savers."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker.simulators.comfyui.execution.node_call import NodeCall, NodeError, NodeFunction, NodeResult
from worker.simulators.comfyui.media.models import write_weights
from worker.simulators.comfyui.node_functions.saving import output_slots


def sleep(call: NodeCall) -> NodeResult:
    """Wait for the input `seconds` in real time, and return the image.

    With `steps`, the wait has as many parts. Each is reported, and the node can be interrupted after each.
    """
    call.log_begin()
    steps = call.integer("steps", 0)
    part_count = max(1, steps)
    for step in range(part_count):
        call.context.clock.sleep(call.number("seconds") / part_count)
        if steps:
            call.step(step + 1, steps)
    return NodeResult((call.images("image"),))


def fail(call: NodeCall) -> NodeResult:
    """Raise RuntimeError with the input `message`."""
    raise RuntimeError(call.text("message"))


def read_editor_file(call: NodeCall) -> NodeResult:
    """Find the node in the editor's file, and return the image. A missing part raises Python's own exception."""
    extra: Any = call.context.extra_data.get("extra_pnginfo")
    next(node for node in extra["workflow"]["nodes"] if str(node["id"]) == call.node_id)
    return NodeResult((call.images("image"),))


def report_hidden(call: NodeCall) -> NodeResult:
    """Report the hidden inputs, which the server fills in, as text: the editor's data and the SHA-256 of the API key.

    A missing one is None. With the input `raises`, raise RuntimeError with the key instead.
    """
    extra, key = call.context.extra_data.get("extra_pnginfo"), call.context.extra_data.get("api_key_comfy_org")
    if call.flag("raises"):
        raise RuntimeError(f"Unauthorized: {key}")
    key_digest = hashlib.sha256(key.encode()).hexdigest() if isinstance(key, str) else None
    return NodeResult(ui={"text": [json.dumps({"extra_pnginfo": extra, "key": key_digest})]})


def save_big_file(call: NodeCall) -> NodeResult:
    """Write a sparse file of `mebibytes` MiB to output."""
    path, saved = call.context.folders.save_slots(call.text("filename_prefix")).next("bin")
    with path.open("wb") as file:
        file.truncate(call.integer("mebibytes") * 1024 * 1024)
    return NodeResult(ui={"images": [saved.as_json()]})


def save_silently(call: NodeCall) -> NodeResult:
    """Write the image to output without reporting it."""
    call.images("image").frames[0].save(_free_path(call))
    return NodeResult()


def save_late(call: NodeCall) -> NodeResult:
    """Write the image to output `seconds` after the node has ended."""
    path, image = _free_path(call), call.images("image").frames[0]
    threading.Timer(call.number("seconds"), image.save, (path,)).start()
    return NodeResult()


def save_with_path(call: NodeCall) -> NodeResult:
    """Write the image to output and report its path as text."""
    path = _free_path(call)
    call.images("image").frames[0].save(path)
    reported = path if call.flag("absolute") else path.relative_to(call.context.folders.path("output"))
    return NodeResult(ui={"file_path": [str(reported)]})


def report(call: NodeCall) -> NodeResult:
    """Report the JSON object of the input `json`. Any other JSON value fails the node."""
    reported = json.loads(call.text("json"))
    if not isinstance(reported, dict):
        raise NodeError("the input 'json' must be a JSON object", "ValueError")
    return NodeResult(ui=reported)


def save_model(call: NodeCall) -> NodeResult:
    """Write a model file to output/checkpoints without reporting it."""
    path, _ = output_slots(call, f"checkpoints/{call.text('prefix')}").next("safetensors")
    path.write_bytes(write_weights({}))
    return NodeResult()


def _free_path(call: NodeCall) -> Path:
    """Return the next free PNG path in output for the input `prefix`."""
    path, _ = output_slots(call, call.text("prefix")).next("png", tail="")
    return path


NODES: Mapping[str, NodeFunction] = {
    "EmbeddedSleep": sleep,
    "EmbeddedFail": fail,
    "EmbeddedHidden": report_hidden,
    "EmbeddedReader": read_editor_file,
    "EmbeddedBigFile": save_big_file,
    "EmbeddedSaveSilently": save_silently,
    "EmbeddedLateFile": save_late,
    "EmbeddedPathString": save_with_path,
    "EmbeddedReport": report,
    "EmbeddedSaveModel": save_model,
}
