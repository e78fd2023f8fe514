"""The classes that only this engine has: waiting, failing, and big files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from worker.simulators.comfyui.execution.calling import Node, NodeCall, Result


def sleep(call: NodeCall) -> Result:
    """Wait real time, whatever the engine's speed; with steps it can be interrupted between them."""
    steps = call.integer("steps", 0)
    for step in range(max(1, steps)):
        call.site.clock.sleep(call.number("seconds") / max(1, steps))
        if steps:
            call.step(step + 1, steps)
    return Result((call.pictures("image"),))


def fail(call: NodeCall) -> Result:
    raise RuntimeError(call.text("message"))


def reader(call: NodeCall) -> Result:
    """Look for itself in the editor's file; what is not there is Python's own error."""
    extra: Any = call.site.extra_data.get("extra_pnginfo")
    next(node for node in extra["workflow"]["nodes"] if str(node["id"]) == call.node_id)
    return Result((call.pictures("image"),))


def hidden(call: NodeCall) -> Result:
    """Show what the server filled in, as ComfyUI fills in hidden inputs: None where there is nothing."""
    extra, key = call.site.extra_data.get("extra_pnginfo"), call.site.extra_data.get("api_key_comfy_org")
    if call.flag("raises"):
        raise RuntimeError(f"Unauthorized: {key}")
    shown = {"extra_pnginfo": extra, "key": hashlib.sha256(key.encode()).hexdigest() if isinstance(key, str) else None}
    return Result(shown={"text": [json.dumps(shown)]})


def big_file(call: NodeCall) -> Result:
    path, saved = call.site.folders.place(call.text("filename_prefix")).next("bin")
    with path.open("wb") as file:
        file.truncate(call.integer("mebibytes") * 1024 * 1024)
    return Result(shown={"images": [saved.listed()]})


NODES: Mapping[str, Node] = {
    "EmbeddedSleep": sleep,
    "EmbeddedFail": fail,
    "EmbeddedHidden": hidden,
    "EmbeddedReader": reader,
    "EmbeddedBigFile": big_file,
}
