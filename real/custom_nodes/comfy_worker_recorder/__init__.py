"""A node pack without nodes that records ComfyUI's events for `make real` in `recorder.jsonl` in the user folder."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import folder_paths
from comfy.cli_args import args
from server import PromptServer

NODE_CLASS_MAPPINGS: dict[str, type] = {}
IMAGE, IMAGE_WITH_METADATA = 2, 4
"""Binary events with images: results of nodes as PNG, and sampler previews as JPEG."""


def _load(path: Path) -> ModuleType:
    """Import a file by its path, so that the project's folder is not added to ComfyUI's module search path."""
    loader = SourceFileLoader("comfy_worker_recorder_file", str(path))
    module = ModuleType(loader.name)
    loader.exec_module(module)
    return module


def _record(server: PromptServer) -> None:
    """Replace the server's `send_sync` by one that records each event before it is sent."""
    user = Path(folder_paths.get_user_directory())
    folders = {
        "output": Path(folder_paths.get_output_directory()),
        "temp": Path(folder_paths.get_temp_directory()),
    }
    recorder = _load(Path(__file__).parents[2] / "recorder.py").EventRecorder(user / "recorder.jsonl", folders)
    recorder.write({"event": "loaded", "data": {"port": args.port}})
    send = server.send_sync

    def send_sync(event: str | int, data: Any, sid: str | None = None) -> None:  # noqa: ANN401 - as ComfyUI has it
        if event == "execution_start":
            running = [item[2] for item in server.prompt_queue.currently_running.values()]
            recorder.write({"event": "prompt", "data": {"prompts": running}})
        if isinstance(event, str):
            recorder.event(event, data)
        elif event in {IMAGE, IMAGE_WITH_METADATA}:
            image_format, image = (data if event == IMAGE else data[0])[:2]
            if image_format == "PNG":
                recorder.image(image.size, image.mode, image.tobytes())
        send(event, data, sid)

    server.send_sync = send_sync


_record(PromptServer.instance)
