"""Observes jobs, and records the work that each run of an engine did and the seconds that it took."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from worker.events import EventsLost, Handlers, JobFinished, JobSubmitted, NodesCached
from worker.job import JobRef, JobState
from worker.load.gpu_classes import REFERENCE
from worker.load.node_work import JobWork, NodeKind
from worker.load.prior import prior_seconds
from worker.load.throughput import DoneWork

RAN = frozenset({JobState.COMPLETED, JobState.DELIVERY_PENDING})
"""States of a job whose prompt has run to its end."""


@dataclass(slots=True)
class EngineRun:
    """The run of a job's prompt. It counts only if it was submitted once, because a second run may skip nodes."""

    engine: str
    submissions: int = 1
    cached: frozenset[str] = frozenset()
    """Ids of the nodes whose results ComfyUI has from an earlier run."""


@dataclass(slots=True)
class DoneWorkObserver:
    """Calls `record` with the engine and the work of each run that has completed.

    `work_of` returns the work of a job, or None if it is not known.
    """

    record: Callable[[str, DoneWork], None]
    work_of: Callable[[JobRef], JobWork | None]
    _runs: dict[str, EngineRun] = field(default_factory=dict)
    """The runs by the folder of their job."""

    @property
    def handlers(self) -> Handlers:
        """The events of a run, and the end of its job."""
        return {
            JobSubmitted: self._submitted,
            NodesCached: self._cached,
            EventsLost: self._events_lost,
            JobFinished: self._finished,
        }

    def _submitted(self, event: JobSubmitted) -> None:
        if event.prompt_id is None:
            return
        run = self._runs.setdefault(event.job.folder, EngineRun(event.engine, submissions=0))
        run.submissions += 1

    def _cached(self, event: NodesCached) -> None:
        run = self._runs.get(event.job.folder)
        if run is not None:
            run.cached = frozenset(event.node_ids)

    def _events_lost(self, event: EventsLost) -> None:
        self._runs.pop(event.job.folder, None)  # it is not known which of its nodes were cached

    def _finished(self, event: JobFinished) -> None:
        run = self._runs.pop(event.job.folder, None)
        work = self.work_of(event.job) if run is not None and event.state in RAN else None
        if run is not None and work is not None and run.submissions == 1:
            seconds = dict(event.stages).get(JobState.GENERATING, 0.0)
            self.record(run.engine, DoneWork(units_that_ran(work, run.cached), seconds))


def units_that_ran(work: JobWork, cached: Iterable[str]) -> float:
    """Return the units of the nodes that were not cached and that ran on this machine."""
    skipped = set(cached)
    return sum(
        prior_seconds(node, REFERENCE)
        for node in work.nodes
        if node.node_id not in skipped and node.kind is not NodeKind.API
    )
