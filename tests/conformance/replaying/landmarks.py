"""The progress of one client in the recording and in the replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.conformance.comparison.names import ReplayNames, prompt_of
from tests.conformance.recorded.transcript import Frame, TextFrame

SILENT = frozenset({"progress_state", "logs", "assets.seed.paused", "assets.seed.resumed"})
"""Kinds of frames that the replay does not wait for: others have the same content, or they concern no prompt."""

Landmark = tuple[str, str, str, str]
"""Kind, node, step, prompt."""


@dataclass(slots=True)
class Landmarks:
    """The progress of one client: the frames that it got in the recording, and those that it got in the replay."""

    _recorded: Counter[Landmark] = field(default_factory=Counter)
    _latest: dict[str, Landmark] = field(default_factory=dict)
    _replayed: Counter[Landmark] = field(default_factory=Counter)
    _read: int = 0
    _unnamed: list[tuple[tuple[str, str], Frame]] = field(default_factory=list)
    _naming: dict[tuple[str, str], Frame] = field(default_factory=dict)

    def add_recorded(self, frame: Frame) -> None:
        """Count a frame of the recording."""
        mark = _mark(frame)
        if mark:
            self._recorded[mark] += 1
            self._latest[mark[-1] or mark[0]] = mark
        naming = _names(frame)
        if naming:
            self._unnamed.append((naming, frame))

    def add_replayed(self, frames: Sequence[Frame]) -> None:
        """Count the frames of the replay that are new."""
        for frame in frames[self._read :]:
            mark, naming = _mark(frame), _names(frame)
            if mark:
                self._replayed[mark] += 1
            if naming:
                self._naming[naming] = frame
        self._read = len(frames)

    def missing(self, names: ReplayNames) -> Mapping[Landmark, int]:
        """Return the latest recorded frame of each prompt, and of other kinds, that the replay does not have yet."""
        expected = {(*mark[:3], names.prompt(mark[3])): self._recorded[mark] for mark in self._latest.values()}
        return {mark: count for mark, count in expected.items() if self._replayed[mark] < count}

    def learn_names(self, names: ReplayNames) -> None:
        """Learn names from corresponding frames: the first status of a connection, and outputs of nodes."""
        for (prompt, node), frame in self._unnamed:
            same = self._naming.get((names.prompt(prompt), node))
            if same is not None:
                names.learn_frame(frame, same)

    def has_started(self, prompt: str) -> bool:
        """Return whether the client got the start of this prompt in the replay."""
        return ("execution_start", "None", "None", prompt) in self._replayed


def _mark(frame: Frame) -> Landmark | None:
    """Return the landmark of a frame, or None for a frame that the replay does not wait for."""
    if not isinstance(frame, TextFrame) or frame.kind in SILENT:
        return None
    prompt = prompt_of(frame)
    if frame.kind == "executing" and not prompt:
        return None  # sent to a client that reconnects while a prompt runs, and the node depends on time
    return (frame.kind, str(frame.data.get("node")), str(frame.data.get("value")), prompt)


def _names(frame: Frame) -> tuple[str, str] | None:
    """Return the prompt and the node of a frame that contains names to learn, or None."""
    if not isinstance(frame, TextFrame):
        return None
    if frame.kind == "executed":
        return prompt_of(frame), str(frame.data["node"])
    return ("", "sid") if frame.kind == "status" and "sid" in frame.data else None
