"""How far one client has come: in the recording, and in the replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.conformance.comparison.names import Names, prompt_of
from tests.conformance.recorded.transcript import Frame, TextFrame

SILENT = frozenset({"progress_state", "logs", "assets.seed.paused", "assets.seed.resumed"})
"""Frames that are not waited for: others say the same, or they are not about jobs."""

Mark = tuple[str, str, str, str]
"""Kind, node, step, prompt."""


@dataclass(slots=True)
class Landmarks:
    """What a client had heard in the recording (`pass_by`) and has heard now (`catch_up`)."""

    _recorded: Counter[Mark] = field(default_factory=Counter)
    _latest: dict[str, Mark] = field(default_factory=dict)
    _replayed: Counter[Mark] = field(default_factory=Counter)
    _read: int = 0
    _unnamed: list[tuple[tuple[str, str], Frame]] = field(default_factory=list)
    _naming: dict[tuple[str, str], Frame] = field(default_factory=dict)

    def pass_by(self, frame: Frame) -> None:
        mark = _mark(frame)
        if mark:
            self._recorded[mark] += 1
            self._latest[mark[-1] or mark[0]] = mark
        naming = _names(frame)
        if naming:
            self._unnamed.append((naming, frame))

    def catch_up(self, heard: Sequence[Frame]) -> None:
        for frame in heard[self._read :]:
            mark, naming = _mark(frame), _names(frame)
            if mark:
                self._replayed[mark] += 1
            if naming:
                self._naming[naming] = frame
        self._read = len(heard)

    def missing(self, names: Names) -> Mapping[Mark, int]:
        """The latest recorded frame of each prompt, and statuses, that have not come so often again."""
        wanted = {(*mark[:3], names.prompt(mark[3])): self._recorded[mark] for mark in self._latest.values()}
        return {mark: count for mark, count in wanted.items() if self._replayed[mark] < count}

    def teach(self, names: Names) -> None:
        """Match the frames that name something: the first status of a connection, and outputs of nodes."""
        for (prompt, node), frame in self._unnamed:
            same = self._naming.get((names.prompt(prompt), node))
            if same is not None:
                names.learn_frame(frame, same)

    def has_started(self, prompt: str) -> bool:
        return ("execution_start", "None", "None", prompt) in self._replayed


def _mark(frame: Frame) -> Mark | None:
    if not isinstance(frame, TextFrame) or frame.kind in SILENT:
        return None
    prompt = prompt_of(frame)
    if frame.kind == "executing" and not prompt:
        return None  # sent to a client that comes back in the middle of a job: which node it is, time decides
    return (frame.kind, str(frame.data.get("node")), str(frame.data.get("value")), prompt)


def _names(frame: Frame) -> tuple[str, str] | None:
    """The prompt and node of a frame from which names can be learned."""
    if not isinstance(frame, TextFrame):
        return None
    if frame.kind == "executed":
        return prompt_of(frame), str(frame.data["node"])
    return ("", "sid") if frame.kind == "status" and "sid" in frame.data else None
