"""Follows the runs of jobs by their events, and lets the estimator learn from each node that ran."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from worker.events import (
    EngineBlocked,
    EngineLost,
    EventsLost,
    Handlers,
    JobPredicted,
    JobSubmitted,
    LoopBlocked,
    MachineSlowed,
    NodeRan,
    NodesCached,
    NodeStarted,
    NodeStopped,
    Notify,
    RunClocked,
    RunEnded,
    StateChanged,
    StepDone,
)
from worker.job import JobRef, JobState
from worker.load.forecast import Forecast
from worker.load.job_estimate import JobEstimate
from worker.load.job_run import JobRun, MeasuredNode
from worker.load.learning.estimator import Estimator, NodeLoad, NodeRun
from worker.load.prediction import NOTHING, Prediction

LEAST_S = 0.002
"""Least seconds of a node that the estimator learns. Less cannot be measured over a WebSocket."""


class RunObserver:
    """An observer of runs. `jobs` are those that have not ended, by their folders.

    `learned` is called when predictions may have changed.
    """

    def __init__(
        self, estimator: Estimator, jobs: Mapping[str, JobEstimate], learned: Callable[[], None], notify: Notify
    ) -> None:
        self.estimator = estimator
        self._jobs = jobs
        self._learned = learned
        self._notify = notify
        self._last_runs: dict[str, JobRun] = {}
        """The present or last run of each engine."""
        self._blocked: dict[str, JobRun] = {}
        """The run of each engine whose node still runs although its job has ended."""

    @property
    def handlers(self) -> Handlers:
        """Handlers of the events of runs and engines."""
        return {
            JobSubmitted: self._submitted,
            StateChanged: self._state_changed,
            NodesCached: self._nodes_cached,
            NodeStarted: self._node_started,
            StepDone: self._step_done,
            NodeStopped: self._node_stopped,
            RunClocked: self._run_clocked,
            EventsLost: self._events_lost,
            RunEnded: self._run_ended,
            LoopBlocked: self._loop_blocked,
            EngineLost: self._engine_lost,
            EngineBlocked: self._engine_blocked,
        }

    def blocked(self, engine: str, now: float) -> Prediction:
        """Return the seconds for which a node of a job that has ended still runs on an engine."""
        run = self._blocked.get(engine)
        return run.node_remaining(now) if run is not None else NOTHING

    def _submitted(self, event: JobSubmitted) -> None:
        """End a run that ComfyUI has lost, because the job is sent again. None of its results is left."""
        estimate = self._jobs.get(event.job.folder)
        if estimate is None:
            return
        if estimate.run is not None:
            self._end_run(estimate, estimate.run, succeeded=False)
            self.estimator.engine_restarted(estimate.run.forecast.engine)
        estimate.run, estimate.has_run, estimate.events_lost = None, False, False

    def _state_changed(self, event: StateChanged) -> None:
        """Begin a run when ComfyUI starts a job."""
        estimate = self._jobs.get(event.job.folder)
        if estimate is None or event.state is not JobState.GENERATING:
            return
        job, engine = estimate.job, estimate.job.engine or ""
        cached = self.estimator.expect_cached(engine, estimate.work)
        forecast = self.estimator.forecast(engine, estimate.work, cached)
        if job.predicted_s is None:
            job.predicted_s = forecast.whole.p50_s
        run = JobRun(job.request.prompt, estimate.nodes, forecast, time.monotonic())
        estimate.run = self._last_runs[engine] = run
        self._blocked.pop(engine, None)

    def _nodes_cached(self, event: NodesCached) -> None:
        """Record the nodes that do not run."""
        if run := self._run(event.job):
            run.record_cached(event.node_ids)

    def _node_started(self, event: NodeStarted) -> None:
        """Record the start of a node."""
        if run := self._run(event.job):
            run.start_node(event.node_id, time.monotonic())

    def _step_done(self, event: StepDone) -> None:
        """Record a step of a node."""
        if run := self._run(event.job):
            run.step(event.node_id, event.value, event.maximum, time.monotonic())

    def _node_stopped(self, event: NodeStopped) -> None:
        """Record that the running node has failed or was interrupted."""
        if run := self._run(event.job):
            run.stop(time.monotonic())

    def _events_lost(self, event: EventsLost) -> None:
        """Record that the times of the nodes are not known."""
        estimate = self._jobs.get(event.job.folder)
        if estimate is not None:
            estimate.events_lost = True

    def _run_clocked(self, event: RunClocked) -> None:
        """Record that the times of the nodes are not known if the messages of the run did not arrive in time."""
        estimate = self._jobs.get(event.job.folder)
        if estimate is not None and estimate.run is not None:
            estimate.events_lost |= not estimate.run.keeps_time(event.at / 1000, time.monotonic())

    def _run_ended(self, event: RunEnded) -> None:
        """Learn from the run."""
        estimate = self._jobs.get(event.job.folder)
        if estimate is None:
            return
        run, estimate.run, estimate.has_run = estimate.run, None, True
        if run is not None:
            self._end_run(estimate, run, succeeded=event.succeeded)

    def _loop_blocked(self, _: LoopBlocked) -> None:
        """Record that messages of all runs may be handled late."""
        for run in self._last_runs.values():
            run.note_block(time.monotonic())

    def _engine_lost(self, event: EngineLost) -> None:
        """Stop the run of an engine, of which no more events arrive, and forget what the engine had loaded."""
        run = self._last_runs.get(event.engine)
        if run is not None:
            run.lose_events(time.monotonic())
        self._blocked.pop(event.engine, None)
        self.estimator.engine_restarted(event.engine)
        self._learned()

    def _engine_blocked(self, event: EngineBlocked) -> None:
        """Record that a node of a job that has ended still runs, or has stopped."""
        if not event.blocked:
            self._blocked.pop(event.engine, None)
        elif event.engine in self._last_runs:
            self._blocked[event.engine] = self._last_runs[event.engine]

    def _learn(self, engine: str, forecast: Forecast, measured: MeasuredNode) -> NodeLoad | None:
        """Learn from a node that ran. Return the files that it loaded, or None."""
        if _is_as_short_as_expected(forecast, measured):
            self.estimator.node_ran(engine, measured.node)
            return None
        seconds = max(measured.seconds, LEAST_S)
        return self.estimator.learn(engine, NodeRun(measured.node, seconds, measured.completed))

    def _run(self, job: JobRef) -> JobRun | None:
        """Return the present run of a job, or None."""
        estimate = self._jobs.get(job.folder)
        return estimate.run if estimate is not None else None

    def _end_run(self, estimate: JobEstimate, run: JobRun, *, succeeded: bool) -> None:
        """Learn from a run that has ended, and report its nodes."""
        now, engine, ref = time.monotonic(), run.forecast.engine, estimate.job.ref
        cold_nodes = 0
        for measured in [] if estimate.events_lost else list(run.measured(now, succeeded=succeeded)):
            load = self._learn(engine, run.forecast, measured)
            cold_nodes += load is not None
            self._notify(_node_ran(ref, run, measured, load))
        finished = {*run.cached, *run.started_nodes} - ({run.stopped_node} if run.stopped_node else set())
        if succeeded:
            finished |= estimate.nodes.keys()
        if run.setup_s is not None and not estimate.events_lost:
            self.estimator.setup_times.learn(engine, run.setup_s)
        drift = self.estimator.job_ended(engine, estimate.work, finished, run.cached)
        self._learned()
        if drift is not None and drift.factor > 1:
            self._notify(MachineSlowed(engine, drift.factor))
        if succeeded and not estimate.events_lost:
            self._notify(_job_predicted(estimate, run, now - run.started_at, is_cold=cold_nodes > 0))


def _is_as_short_as_expected(forecast: Forecast, measured: MeasuredNode) -> bool:
    """Return whether a node took no time, as it always does, such as an empty latent. Many nodes of a job are so."""
    node, expected = measured.node, forecast.nodes.get(measured.node.node_id, NOTHING)
    is_short = measured.completed and measured.seconds <= LEAST_S and expected.p90_s <= 2 * LEAST_S
    return is_short and not node.reads and not node.models


def _node_ran(job: JobRef, run: JobRun, measured: MeasuredNode, load: NodeLoad | None) -> NodeRan:
    """Return the event for a node that ran."""
    node, predicted = measured.node, run.forecast.nodes[measured.node.node_id]
    return NodeRan(
        *(job, run.forecast.engine, node.node_id, node.class_type, node.kind.value, node.family, measured.seconds),
        *(predicted.p50_s, predicted.p90_s, load is not None, measured.completed),
        *((load.tier.value, load.seconds) if load is not None else ()),
    )


def _job_predicted(estimate: JobEstimate, run: JobRun, seconds: float, *, is_cold: bool) -> JobPredicted:
    """Return the event for a run that has ended, with the family of its most expensive node."""
    whole, nodes = run.forecast.whole, run.forecast.nodes
    with_family = [node for node in estimate.work.nodes if node.family]
    most_expensive = max(with_family, key=lambda node: nodes[node.node_id].p50_s, default=None)
    return JobPredicted(
        estimate.job.ref,
        run.forecast.engine,
        estimate.job.request.template,
        most_expensive.family if most_expensive else "",
        seconds,
        whole.p50_s,
        whole.p90_s,
        is_cold,
    )
