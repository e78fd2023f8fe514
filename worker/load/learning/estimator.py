"""Predicts the seconds of nodes and jobs on each engine, and learns from every node that runs."""

from __future__ import annotations

import math
from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass

from worker.load.forecast import FileLoad, Forecast
from worker.load.gpu_classes import GpuClass
from worker.load.learning.drift import Drift, DriftDetector
from worker.load.learning.learned_state import LearnedState, restore, saved
from worker.load.learning.load_times import Tier
from worker.load.learning.loading import Loading
from worker.load.learning.node_results import NO_LINE, LineResults, NodeResults
from worker.load.learning.setup_times import SetupTimes
from worker.load.learning.totals import JobOutcome, Quantiles, Total
from worker.load.learning.warm_times import WarmTimes, usable
from worker.load.node_work import JobWork, NodeWork
from worker.load.prediction import Prediction

DRIFT_VARIANCE = 0.1
"""Variance that a lasting change adds to the effect of a machine, so that it follows at once."""


@dataclass(frozen=True, slots=True)
class NodeRun:
    """A node that ran. `completed` is False if it was cancelled or failed after `seconds`."""

    node: NodeWork
    seconds: float
    completed: bool = True


@dataclass(frozen=True, slots=True)
class NodeLoad:
    """Model files that a node had to load: where most of them came from, and the seconds that it took."""

    tier: Tier
    seconds: float


class Estimator:
    """What this machine has learned about the seconds of nodes. Engines are known by their names.

    Engines whose GPUs are of one class share what they learn, except for the speed of each single GPU.
    """

    def __init__(self, gpus: Mapping[str, GpuClass], state: LearnedState | None = None) -> None:
        self._gpus = dict(gpus)
        self._state = state or LearnedState()
        self._warm = WarmTimes(self._gpus)
        self._loading = Loading()
        self.setup_times = SetupTimes()
        self._quantiles = Quantiles(*self._state.quantiles)
        self._outcomes: dict[str, JobOutcome] = {}
        self._watches: dict[str, DriftDetector] = {}
        self._results: dict[str, NodeResults] = {}
        self._ran: dict[str, set[str]] = {}
        """Ids of the nodes that the present job of each engine ran."""
        restore(self._state, self._warm, self._loading.times)

    def node(self, engine: str, node: NodeWork) -> Prediction:
        """Return the seconds of a node whose models are loaded."""
        return self._quantiles.node_p90(self._warm.predict(engine, node))

    def job(self, engine: str, work: JobWork, cached: Collection[str] = ()) -> Prediction:
        """Return the seconds of a job: its nodes without those that are cached, and the files that it has to load."""
        return self.forecast(engine, work, cached).whole

    def forecast(
        self, engine: str, work: JobWork, cached: Collection[str] = (), loaded: Container[str] = ()
    ) -> Forecast:
        """Return the seconds of a job and of its nodes.

        `loaded` are files that will have been loaded when it runs, by jobs that run before it.
        """
        self._loading.sizes.remember(work)
        times = {node.node_id: self._warm.predict(engine, node) for node in work.nodes}
        nodes = [node for node in work.nodes if node.node_id not in cached]
        load = self._loading.load(engine, nodes, loaded)
        total = Total()
        for node in nodes:
            total.add(times[node.node_id])
        if load is not None:
            total.add_load(load)
        predictions = {node_id: self._quantiles.node_p90(time) for node_id, time in times.items()}
        setup_s = self.setup_times.predict(engine)
        whole = self._quantiles.p90(total) + Prediction(setup_s, setup_s)
        return Forecast(engine, whole, predictions, load.seconds if load else 0.0, cached)

    def load_seconds(self, engine: str, work: JobWork) -> float:
        """Return the seconds of loading the files that a job needs and that are not loaded on an engine."""
        self._loading.sizes.remember(work)
        cached = self.expect_cached(engine, work)
        load = self._loading.load(engine, [node for node in work.nodes if node.node_id not in cached])
        return load.seconds if load else 0.0

    def file_load(self, file: str) -> FileLoad:
        """Return the size of a model file, and the seconds to load it on an engine that has not loaded it."""
        return self._loading.file_load(file)

    def expect_cached(self, engine: str, work: JobWork, line: LineResults = NO_LINE) -> frozenset[str]:
        """Return the ids of the nodes whose results ComfyUI will still have if a job runs after the jobs of a line."""
        results = self._results.setdefault(engine, NodeResults())
        return frozenset(results.expected(work, line))

    def node_ran(self, engine: str, node: NodeWork) -> None:
        """Record that a node ran, and so was not cached. `learn` does this too."""
        self._ran.setdefault(engine, set()).add(node.node_id)

    def learn(self, engine: str, run: NodeRun) -> NodeLoad | None:
        """Learn from a node that ran on an engine. Return the files that it loaded, or None if it loaded none.

        Call this for each node in the order in which they ran, and never for nodes that were cached. Call `job_ended`
        after the last one.
        """
        node, seen = run.node, None
        self.node_ran(engine, node)
        load = self._loading.load(engine, (node,)) if node.reads or node.models else None
        if usable(run.seconds) and run.completed:
            warm = self._warm.predict(engine, node)
            self._outcomes.setdefault(engine, JobOutcome()).add(warm, load, run.seconds)
            load = self._loading.likeliest(engine, node, run.seconds, warm, load)
            if load is None:
                self._warm.learn(engine, warm, run.seconds)
            else:
                seen = NodeLoad(load.load.tier, max(0.0, run.seconds - warm.seconds))
                self._loading.learn(engine, run.seconds, warm, load, self._warm)
        elif usable(run.seconds) and load is None:
            self._warm.learn_at_least(engine, node, run.seconds)
        if run.completed:
            self._loading.files(engine).use(node)
        return seen

    def job_ended(
        self,
        engine: str,
        work: JobWork,
        completed: Container[str] | None = None,
        cached: Container[str] | None = None,
    ) -> Drift | None:
        """Record that a job ended on an engine.

        `completed` are the ids of the nodes that ran or were cached; None stands for all. `cached` are those that were
        cached; None stands for all that were not learned. Return a lasting change of the machine's speed if this job
        shows one, else None.
        """
        ran = self._ran.pop(engine, set())
        self._results.setdefault(engine, NodeResults()).job_ended(work, ran, completed, cached)
        outcome = self._outcomes.pop(engine, None)
        if outcome is None:
            return None
        expected = outcome.expected
        if outcome.is_typical:
            self._quantiles.learn(expected, outcome.seconds)
        if outcome.is_typical and not expected.loads and expected.largest is not None:
            squared = (expected.residual(outcome.seconds) / expected.deviation) ** 2
            self._warm.learn_together(expected.largest, squared * expected.together)
        return self._drift(engine, outcome)

    def engine_restarted(self, engine: str) -> None:
        """Forget which files are loaded on an engine, and what it has cached."""
        self._loading.files(engine).clear()
        self._results.pop(engine, None)
        self._ran.pop(engine, None)
        self._outcomes.pop(engine, None)

    def set_gpu(self, engine: str, gpu: GpuClass) -> None:
        """Set the GPU class of an engine, which is known once ComfyUI has started."""
        self._gpus[engine] = gpu
        self._warm.outdate()

    def set_memory(self, engine: str, gpu_bytes: float, machine_bytes: float) -> None:
        """Set the memory of an engine's GPU and of the machine, as far as it can hold model files."""
        self._loading.files(engine).gpu.capacity = gpu_bytes
        self._loading.machine_files.capacity = machine_bytes

    def gpu_bytes(self, engine: str) -> float:
        """Return the bytes of model files that fit into the memory of an engine's GPU."""
        return self._loading.files(engine).gpu.capacity

    def slowdown(self, engine: str) -> float:
        """Return how much longer nodes take on this engine than its GPU class was learned to take: 1 means equal."""
        return math.exp(self._warm.machine(engine).mean)

    def imported_runs(self, engine: str) -> float:
        """Return the number of runs behind the imported priors of an engine's GPU class, 0 if none were imported."""
        gpu = self._gpus.get(engine)
        return self._state.imported.get(gpu.name, 0.0) if gpu else 0.0

    def saved(self) -> LearnedState:
        """Return everything that was learned."""
        return saved(self._state, self._warm, self._loading.times, self._quantiles.saved)

    def _drift(self, engine: str, outcome: JobOutcome) -> Drift | None:
        """Return the lasting change of a machine's speed that a job shows, and let the machine's effect follow."""
        deviation = outcome.expected_gpu.deviation * max(self._quantiles.scale, 1.0)
        if not deviation:
            return None
        residual = outcome.expected_gpu.residual(outcome.gpu_seconds)
        change = self._watches.setdefault(engine, DriftDetector()).add(residual, deviation)
        if change is None:
            return None
        self._warm.machine(engine).variance += DRIFT_VARIANCE
        self._warm.outdate()
        return Drift(engine, math.exp(change))
