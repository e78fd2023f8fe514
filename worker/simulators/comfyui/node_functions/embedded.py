"""The classes that only this engine has: waiting, failing, big files, and savers that report unusually or nothing."""

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
    """Wait real time, whatever the engine's speed; with steps it can be interrupted between them."""
    steps = call.integer("steps", 0)
    for step in range(max(1, steps)):
        call.context.clock.sleep(call.number("seconds") / max(1, steps))
        if steps:
            call.step(step + 1, steps)
    return NodeResult((call.images("image"),))


def fail(call: NodeCall) -> NodeResult:
    raise RuntimeError(call.text("message"))


def reader(call: NodeCall) -> NodeResult:
    """Look for itself in the editor's file; what is not there is Python's own error."""
    extra: Any = call.context.extra_data.get("extra_pnginfo")
    next(node for node in extra["workflow"]["nodes"] if str(node["id"]) == call.node_id)
    return NodeResult((call.images("image"),))


def hidden(call: NodeCall) -> NodeResult:
    """Show what the server filled in, as ComfyUI fills in hidden inputs: None where there is nothing."""
    extra, key = call.context.extra_data.get("extra_pnginfo"), call.context.extra_data.get("api_key_comfy_org")
    if call.flag("raises"):
        raise RuntimeError(f"Unauthorized: {key}")
    ui = {"extra_pnginfo": extra, "key": hashlib.sha256(key.encode()).hexdigest() if isinstance(key, str) else None}
    return NodeResult(ui={"text": [json.dumps(ui)]})


def big_file(call: NodeCall) -> NodeResult:
    path, saved = call.context.folders.save_slots(call.text("filename_prefix")).next("bin")
    with path.open("wb") as file:
        file.truncate(call.integer("mebibytes") * 1024 * 1024)
    return NodeResult(ui={"images": [saved.as_json()]})


def save_silently(call: NodeCall) -> NodeResult:
    call.images("image").frames[0].save(_free_path(call))
    return NodeResult()


def late_file(call: NodeCall) -> NodeResult:
    path, image = _free_path(call), call.images("image").frames[0]
    threading.Timer(call.number("seconds"), image.save, (path,)).start()
    return NodeResult()


def path_string(call: NodeCall) -> NodeResult:
    path = _free_path(call)
    call.images("image").frames[0].save(path)
    reported = path if call.flag("absolute") else path.relative_to(call.context.folders.path("output"))
    return NodeResult(ui={"file_path": [str(reported)]})


def report(call: NodeCall) -> NodeResult:
    """Report what the input says; anything but an object fails the node."""
    reported = json.loads(call.text("json"))
    if not isinstance(reported, dict):
        raise NodeError("the input 'json' holds no object", "ValueError")
    return NodeResult(ui=reported)


def save_model(call: NodeCall) -> NodeResult:
    path, _ = output_slots(call, f"checkpoints/{call.text('prefix')}").next("safetensors")
    path.write_bytes(write_weights({}))
    return NodeResult()


def _free_path(call: NodeCall) -> Path:
    path, _ = output_slots(call, call.text("prefix")).next("png", tail="")
    return path


NODES: Mapping[str, NodeFunction] = {
    "EmbeddedSleep": sleep,
    "EmbeddedFail": fail,
    "EmbeddedHidden": hidden,
    "EmbeddedReader": reader,
    "EmbeddedBigFile": big_file,
    "EmbeddedSaveSilently": save_silently,
    "EmbeddedLateFile": late_file,
    "EmbeddedPathString": path_string,
    "EmbeddedReport": report,
    "EmbeddedSaveModel": save_model,
}
