"""A node pack without nodes: while `make real` runs, ComfyUI's events go into `recorder.jsonl` in its user folder."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any

import folder_paths
from comfy.cli_args import args
from server import PromptServer

NODE_CLASS_MAPPINGS: dict[str, type] = {}
PICTURE, PICTURE_WITH_METADATA = 2, 4
"""The binary events in which a node sends a picture (PNG), and the sampler previews (JPEG)."""


def _load(path: Path) -> ModuleType:
    """Import a file by its path: ComfyUI must not search the project's folder for its own modules."""
    loader = SourceFileLoader("comfy_worker_recorder_file", str(path))
    module = ModuleType(loader.name)
    loader.exec_module(module)
    return module


def _record(server: PromptServer) -> None:
    user = Path(folder_paths.get_user_directory())
    folders = {
        "output": Path(folder_paths.get_output_directory()),
        "temp": Path(folder_paths.get_temp_directory()),
    }
    recorder = _load(Path(__file__).parents[2] / "recorder.py").EventEventRecorder(user / "recorder.jsonl", folders)
    recorder.write({"event": "loaded", "data": {"port": args.port}})
    send = server.send_sync

    def send_sync(event: str | int, data: Any, sid: str | None = None) -> None:  # noqa: ANN401 - as ComfyUI has it
        if event == "execution_start":
            running = [item[2] for item in server.prompt_queue.currently_running.values()]
            recorder.write({"event": "prompt", "data": {"prompts": running}})
        if isinstance(event, str):
            recorder.event(event, data)
        elif event in {PICTURE, PICTURE_WITH_METADATA}:
            format_, picture = (data if event == PICTURE else data[0])[:2]
            if format_ == "PNG":
                recorder.picture(picture.size, picture.mode, picture.tobytes())
        send(event, data, sid)

    server.send_sync = send_sync


_record(PromptServer.instance)
