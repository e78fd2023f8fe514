"""The state of a job and the times of its nodes, computed from its events. Has no I/O and no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.job import JobState

LEAST_SHOWN_S = 3.0
"""Least seconds to the end that are worth showing."""
MOST_UNCERTAIN = 2.0
"""Largest p90 of the seconds to the end, relative to their median, with which the median is shown."""
STAGES = {
    JobState.QUEUED: "queue",
    JobState.PREPARING: "prepare",
    JobState.WAITING: "wait",
    JobState.GENERATING: "generate",
    JobState.DELIVERING: "deliver",
}


@dataclass(slots=True)
class TimelineNode:
    """One execution of a node. Times are seconds of the caller's clock. ComfyUI runs one node at a time."""

    node_id: str
    title: str
    class_type: str
    started: float
    ended: float | None = None
    step: float = 0
    steps: float = 0

    def seconds(self, now: float) -> float:
        """Return the seconds from the start until the end, or until `now` while the node runs."""
        return (self.ended if self.ended is not None else now) - self.started

    @property
    def progress(self) -> str:
        """The current step and the number of steps, such as `3/20`. Empty for a node that has no steps."""
        return f"{self.step:g}/{self.steps:g}" if self.steps else ""


@dataclass(slots=True)
class Timeline:
    """The state of a job and its nodes in the order of their start. `started` is in seconds of the caller's clock."""

    started: float
    state: str = JobState.QUEUED.value
    runs: list[TimelineNode] = field(default_factory=list)
    _ends_at: float | None = None
    """When the run is expected to end, None if that is not known or uncertain."""

    @property
    def running(self) -> TimelineNode | None:
        """The node that runs now, or None between nodes."""
        return self.runs[-1] if self.runs and self.runs[-1].ended is None else None

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds until the run ends, or None if they are not known, uncertain or only a few."""
        if self._ends_at is None or self._ends_at - now < LEAST_SHOWN_S:
            return None
        return self._ends_at - now

    def handle(self, name: str, data: Mapping[str, Any], now: float) -> None:
        """Update the state and the nodes from an event, at `now` of the caller's clock. Other events are ignored."""
        if name == "state":
            self.state = str(data["state"])
            if self.state != JobState.GENERATING:
                self._end(now)
        elif name == "node":
            self._end(now)
            self.runs.append(TimelineNode(data["node_id"], data["title"] or data["node_id"], data["class_type"], now))
        elif name == "step":
            self._step(str(data["node_id"]), float(data["value"]), float(data["max"]))
        if "eta_s" in data:
            is_certain = data["eta_p90_s"] <= MOST_UNCERTAIN * data["eta_s"]
            self._ends_at = now + float(data["eta_s"]) if is_certain else None

    def stage_times(self, timings: Mapping[str, float]) -> Iterator[tuple[str, float]]:
        """Yield (stage, seconds) from the `timings` of a result, in the order in which a job goes through them."""
        for state, stage in STAGES.items():
            yield stage, timings.get(f"{state.value}_ms", 0.0) / 1000

    def _step(self, node_id: str, value: float, maximum: float) -> None:
        """Record a step. Step 1 of 1 is ignored: ComfyUI reports the end of a node without steps in this form."""
        run = self.running
        if run is not None and run.node_id == node_id and maximum > 1:
            run.step, run.steps = value, maximum

    def _end(self, now: float) -> None:
        """Record the end of the node that runs, if there is one."""
        if run := self.running:
            run.ended = now
