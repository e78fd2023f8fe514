"""Durations of nodes, and idle times of GPUs between two runs, derived from events."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from worker.events import Handlers, JobFinished, JobSubmitted, NodeStarted, RunEnded, StateChanged
from worker.job import JobRef, JobState
from worker.observers import metric_specs as specs
from worker.observers.metrics import Metrics


@dataclass(slots=True)
class EngineQueue:
    """Jobs inside one ComfyUI, by folder name. `idle_since` is set while jobs wait and none runs."""

    waiting: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    idle_since: float | None = None

    def remove(self, job: str) -> None:
        """Remove a job."""
        self.waiting.discard(job)
        self.running.discard(job)
        if not self.waiting:
            self.idle_since = None


class RunTimes:
    """Tracks the runs of all engines. Times are those of the monotonic clock."""

    def __init__(self) -> None:
        self._engines: dict[str, EngineQueue] = {}
        self._inside: dict[str, EngineQueue] = {}
        """The queue of the engine that has a job."""
        self._nodes: dict[str, tuple[str, float]] = {}
        """Class and start time of the running node of a job."""

    def submitted(self, event: JobSubmitted) -> None:
        """Record that a job was sent to an engine, or removed from it."""
        self.forget(event.job)
        if event.prompt_id is not None:
            engine = self._engines.setdefault(event.engine, EngineQueue())
            engine.waiting.add(event.job.folder)
            self._inside[event.job.folder] = engine

    def started(self, job: JobRef, now: float) -> float | None:
        """Return the seconds that the engine was idle while this job waited inside it, or None if no job waited.

        The start of a run may be observed before the end of the previous one. Then there was no gap.
        """
        engine = self._inside.get(job.folder)
        if engine is None:
            return None
        gap_s = None
        if engine.running:
            gap_s = 0.0
        elif engine.idle_since is not None:
            gap_s = now - engine.idle_since
        engine.waiting.discard(job.folder)
        engine.running.add(job.folder)
        engine.idle_since = None
        return gap_s

    def node_started(self, event: NodeStarted, now: float) -> tuple[str, float] | None:
        """Return class and seconds of the previous node of the job, or None."""
        ended = self._node_ended(event.job, now)
        self._nodes[event.job.folder] = event.class_type, now
        return ended

    def ended(self, job: JobRef, now: float) -> tuple[str, float] | None:
        """Return class and seconds of the last node of the run, or None."""
        node, engine = self._node_ended(job, now), self._inside.get(job.folder)
        self.forget(job)
        if engine is not None and engine.waiting and not engine.running:
            engine.idle_since = now
        return node

    def forget(self, job: JobRef) -> None:
        """Remove a job."""
        self._nodes.pop(job.folder, None)
        if engine := self._inside.pop(job.folder, None):
            engine.remove(job.folder)

    def _node_ended(self, job: JobRef, now: float) -> tuple[str, float] | None:
        """Return class and seconds of the running node, or None."""
        node = self._nodes.pop(job.folder, None)
        return None if node is None else (node[0], now - node[1])


class RunMetrics:
    """An observer for the metrics of nodes and of the time between two runs."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._runs = RunTimes()

    @property
    def handlers(self) -> Handlers:
        """Handlers of the events of runs."""
        return {
            JobSubmitted: self._runs.submitted,
            StateChanged: self._state_changed,
            NodeStarted: lambda event: self._node_ended(self._runs.node_started(event, time.monotonic())),
            RunEnded: lambda event: self._node_ended(self._runs.ended(event.job, time.monotonic())),
            JobFinished: lambda event: self._runs.forget(event.job),
        }

    def _state_changed(self, event: StateChanged) -> None:
        """Observe the idle time of the GPU when a run starts."""
        if event.state is JobState.GENERATING:
            gap_s = self._runs.started(event.job, time.monotonic())
            if gap_s is not None:
                self._metrics.observe(specs.GPU_GAP, gap_s)

    def _node_ended(self, node: tuple[str, float] | None) -> None:
        """Observe the duration of a node."""
        if node is not None:
            class_type, seconds = node
            self._metrics.observe(specs.NODE, seconds, self._metrics.bounded_label("class", class_type))
