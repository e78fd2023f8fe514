"""The events of ComfyUI and the files it wrote while a job ran, read from the recorder's log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

MODEL_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".gguf", ".sft")


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that appeared or changed in ComfyUI's output or temp folder."""

    folder: str
    path: str
    sha256: str

    @property
    def is_model(self) -> bool:
        """Whether the file is a model, by its suffix."""
        return self.path.endswith(MODEL_SUFFIXES)


@dataclass(slots=True)
class RecordedRun:
    """The recorded events of one prompt."""

    prompt: dict[str, Any]
    executed: list[str] = field(default_factory=list)
    """Ids of the nodes that ran, in order."""
    cached: list[str] = field(default_factory=list)
    steps: dict[str, float] = field(default_factory=dict)
    """The steps that a node last named as its total when it reported progress, by node id."""
    reported: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Id and `ui` output of each node that reported one, including cached nodes."""
    end: str = ""
    """The event that ended the prompt."""


@dataclass(frozen=True, slots=True)
class EngineLog:
    """The part of the log that belongs to one request."""

    runs: Sequence[RecordedRun]
    files: Sequence[WrittenFile]
    images: Sequence[str]
    """SHA-256 of the pixels of each image that was sent over the WebSocket."""

    @property
    def saved(self) -> list[WrittenFile]:
        """The files in the output folder."""
        return [file for file in self.files if file.folder == "output"]


class RecorderLog:
    """Reads the recorder's log in parts. A pass sends jobs one after the other, so all new lines belong to one job."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.port = 0
        """The port of ComfyUI, or 0 until it has loaded the recorder."""
        self.contents: dict[tuple[str, str], set[str]] = {}
        """For each folder and path, the SHA-256 of every content that was ever written there."""

    def take(self) -> EngineLog:
        """Return what was recorded since the last call, and update `contents` and `port`."""
        lines = list(self._lines())
        files = [WrittenFile(row["folder"], row["path"], row["sha256"]) for line in lines for row in line["files"]]
        for file in files:
            self.contents.setdefault((file.folder, file.path), set()).add(file.sha256)
        images = [line["data"]["sha256"] for line in lines if line["event"] == "picture"]
        for line in lines:
            if line["event"] == "loaded":
                self.port = line["data"]["port"]
        return EngineLog(list(_runs(lines)), files, images)

    def _lines(self) -> Iterator[dict[str, Any]]:
        """Yield the lines that were added since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                self._offset += len(line)
                yield orjson.loads(line)


def _runs(lines: Sequence[dict[str, Any]]) -> Iterator[RecordedRun]:
    """Yield a run for each prompt that started. The lines that follow are added to it while the next one is read."""
    run: RecordedRun | None = None
    for line in lines:
        event, data = line["event"], line["data"]
        if event == "prompt":
            run = RecordedRun(data["prompts"][0] if data["prompts"] else {})
            yield run
        elif run is not None:
            _add_event(run, event, data)


def _add_event(run: RecordedRun, event: str, data: dict[str, Any]) -> None:
    """Add one event to a run."""
    if event == "executing" and data["node"] is not None:
        run.executed.append(data["node"])
    elif event == "execution_cached":
        run.cached.extend(data["nodes"])
    elif event == "progress":
        run.steps[data["node"]] = data["max"]
    elif event == "executed":
        run.reported.append((data["node"], data["output"] or {}))
    elif event in {"execution_success", "execution_error", "execution_interrupted"}:
        run.end = event
