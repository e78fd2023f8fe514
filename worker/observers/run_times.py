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

    engine: str
    waiting: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    idle_since: float | None = None

    def remove(self, folder: str) -> None:
        """Remove the job with this folder name."""
        self.waiting.discard(folder)
        self.running.discard(folder)
        if not self.waiting:
            self.idle_since = None


class RunTimes:
    """Tracks the runs of all engines. Times are those of the monotonic clock."""

    def __init__(self) -> None:
        self._queues: dict[str, EngineQueue] = {}
        self._queue_of: dict[str, EngineQueue] = {}
        """The queue of the engine that has a job, by folder name of the job."""
        self._nodes: dict[str, tuple[str, float]] = {}
        """Class and start time of the running node of a job."""

    def submitted(self, event: JobSubmitted) -> None:
        """Record that a job was sent to an engine, or removed from it."""
        self.forget(event.job)
        if event.prompt_id is not None:
            queue = self._queues.setdefault(event.engine, EngineQueue(event.engine))
            queue.waiting.add(event.job.folder)
            self._queue_of[event.job.folder] = queue

    def engine_of(self, job: JobRef) -> str:
        """Return the name of the engine that has a job, or an empty string."""
        queue = self._queue_of.get(job.folder)
        return queue.engine if queue is not None else ""

    def started(self, job: JobRef, now: float) -> float | None:
        """Record that the run of a job has started. Return the seconds that its engine was idle before.

        Return None if the job did not wait inside the engine meanwhile. The result is 0 if the previous run has not
        ended yet, because the start of a run may be observed before the end of the previous one.
        """
        queue = self._queue_of.get(job.folder)
        if queue is None:
            return None
        gap_s = None
        if queue.running:
            gap_s = 0.0
        elif queue.idle_since is not None:
            gap_s = now - queue.idle_since
        queue.waiting.discard(job.folder)
        queue.running.add(job.folder)
        queue.idle_since = None
        return gap_s

    def node_started(self, event: NodeStarted, now: float) -> tuple[str, float] | None:
        """Record that a node has started. Return class and seconds of the previous node of the job, or None."""
        previous_node = self._end_node(event.job, now)
        self._nodes[event.job.folder] = event.class_type, now
        return previous_node

    def ended(self, job: JobRef, now: float) -> tuple[str, float] | None:
        """Forget a job whose run has ended. Return class and seconds of its last node, or None if no node ran."""
        last_node = self._end_node(job, now)
        queue = self._queue_of.get(job.folder)
        self.forget(job)
        if queue is not None and queue.waiting and not queue.running:
            queue.idle_since = now
        return last_node

    def forget(self, job: JobRef) -> None:
        """Remove a job and its running node."""
        self._nodes.pop(job.folder, None)
        queue = self._queue_of.pop(job.folder, None)
        if queue is not None:
            queue.remove(job.folder)

    def _end_node(self, job: JobRef, now: float) -> tuple[str, float] | None:
        """Forget the running node of a job. Return its class and the seconds that it ran, or None if no node ran."""
        node = self._nodes.pop(job.folder, None)
        if node is None:
            return None
        class_type, started_at = node
        return class_type, now - started_at


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
                engine = self._metrics.bounded_label("engine", self._runs.engine_of(event.job))
                self._metrics.observe(specs.GPU_GAP, gap_s, engine)

    def _node_ended(self, node: tuple[str, float] | None) -> None:
        """Observe the duration of a node, which is given as class and seconds. None means no node."""
        if node is not None:
            class_type, seconds = node
            self._metrics.observe(specs.NODE, seconds, self._metrics.bounded_label("class", class_type))
