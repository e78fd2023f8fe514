"""What is known about the time of one job that has not ended."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from worker.job import Job, JobState
from worker.load.forecast import Forecast
from worker.load.gpu_classes import REFERENCE
from worker.load.job_run import JobRun
from worker.load.node_work import JobWork, NodeWork
from worker.load.prediction import Prediction
from worker.load.prior import prior_seconds

MOST_NODES = 500
"""Most nodes of a job that are predicted one by one. Workflows of people have up to 200 or so."""
HAS_RUN = frozenset({JobState.DELIVERING, JobState.DELIVERY_PENDING})
"""States of a job that needs no engine any more."""


@dataclass(frozen=True, slots=True)
class KeptForecast:
    """A forecast, and what it depends on.

    `previous` is the folder of the job that runs before it. `epoch` counts what the estimator had learned by then.
    `made_at` is a time in seconds.
    """

    forecast: Forecast
    previous: str
    epoch: int
    made_at: float


@dataclass(slots=True, eq=False)
class JobEstimate:
    """The work of a job, its place in an engine, and its run. It ends at its timeout, after `timeout_s` seconds."""

    job: Job
    work: JobWork
    timeout_s: float = math.inf
    engine: str | None = None
    """The engine that has the job, None while it waits for one."""
    run: JobRun | None = None
    """The present run, None before and after it."""
    has_run: bool = False
    """Whether the run has ended."""
    events_lost: bool = False
    """Whether events of the present run were lost."""
    forecasts: dict[str, KeptForecast] = field(default_factory=dict)
    """The last forecast for each engine."""
    files: frozenset[str] = field(init=False)
    """Names of the model files that the job loads."""

    def __post_init__(self) -> None:
        self.refine(self.work)

    @property
    def needs_engine(self) -> bool:
        """Whether the job still has to run or runs."""
        return not (self.has_run or self.job.state.ended or self.job.state in HAS_RUN)

    @property
    def nodes(self) -> dict[str, NodeWork]:
        """The nodes that are expected to run, by id."""
        return {node.node_id: node for node in self.work.nodes}

    def until_timeout(self, seconds: Prediction) -> Prediction:
        """Return seconds of the job, at most those until its timeout."""
        return seconds.at_most(max(self.timeout_s - self.job.elapsed_s, 0.0))

    def refine(self, work: JobWork) -> None:
        """Replace the work of the job, because more is known about it."""
        self.work = bounded(work)
        self.files = _files(self.work)
        self.forecasts.clear()


def bounded(work: JobWork) -> JobWork:
    """Return the work of a job with at most MOST_NODES nodes: the most expensive ones, and one for all others.

    Each node is predicted and learned on the event loop, so that thousands of them would block it.
    """
    if len(work.nodes) <= MOST_NODES:
        return work
    by_cost = sorted(work.nodes, key=lambda node: prior_seconds(node, REFERENCE), reverse=True)
    kept, others = by_cost[: MOST_NODES - 1], by_cost[MOST_NODES - 1 :]
    rest = NodeWork("", "", tflop=sum(node.tflop for node in others), fixed_s=sum(node.fixed_s for node in others))
    ids = {node.node_id for node in kept}
    ancestry = {node_id: digest for node_id, digest in work.ancestry.items() if node_id in ids}
    return replace(work, nodes=(*kept, rest), ancestry=ancestry)


def _files(work: JobWork) -> frozenset[str]:
    """Return the names of the model files that a job loads."""
    return frozenset(file for node in work.nodes for file in (*node.reads, *node.models))
