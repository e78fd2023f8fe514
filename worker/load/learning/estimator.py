"""Predicts the seconds of nodes and jobs on each engine, and learns from every node that runs."""

from __future__ import annotations

import math
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass

from worker.load.forecast import FileLoad, Forecast
from worker.load.gpu_classes import GpuClass
from worker.load.learning.drift import Drift, DriftWatch
from worker.load.learning.effects import CLIP
from worker.load.learning.learned_state import LearnedState, restore, saved
from worker.load.learning.residency import UNKNOWN_BYTES, LoadedFiles, LoadTime, LoadTimes, ResidentFiles, Tier
from worker.load.learning.totals import JobOutcome, Quantile, Total
from worker.load.learning.warm_times import WarmTime, WarmTimes, usable
from worker.load.node_work import JobWork, NodeWork
from worker.load.prediction import Prediction

GPU_BYTES, MACHINE_BYTES = 20e9, 32e9
"""Bytes of model files that fit into the memory of a GPU and of a machine, until it is known better."""
PLAUSIBLE = 2.0
"""Standard deviations that seconds may be off from a prediction that is taken as the true one."""
NOTICEABLE = 0.1
"""Part of a node's seconds below which a load, or the rest, cannot be told from noise."""
COLD_NOISE = 0.1
"""Variance of the warm part of a node that also loaded files: allocations and compilations come with a load."""
DRIFT_VARIANCE = 0.1
"""Variance that a lasting change adds to the effect of a machine, so that it follows at once."""


@dataclass(frozen=True, slots=True)
class NodeRun:
    """A node that ran. `completed` is False if it was cancelled or failed after `seconds`."""

    node: NodeWork
    seconds: float
    completed: bool = True


class Estimator:
    """What this machine has learned about the seconds of nodes. Engines are known by their names.

    Engines whose GPUs are of one class share what they learn, except for the speed of each single GPU.
    """

    def __init__(self, gpus: Mapping[str, GpuClass], state: LearnedState | None = None) -> None:
        self._gpus = dict(gpus)
        self._state = state or LearnedState()
        self._warm = WarmTimes(self._gpus)
        self._loads = LoadTimes()
        self._machine_files = ResidentFiles(MACHINE_BYTES)
        self._loaded: dict[str, LoadedFiles] = {}
        self._sizes: dict[str, float] = {}
        self._last_ancestry: dict[str, frozenset[bytes]] = {}
        self._quantile = Quantile()
        self._outcomes: dict[str, JobOutcome] = {}
        self._watches: dict[str, DriftWatch] = {}
        restore(self._state, self._warm, self._loads)

    def node(self, engine: str, node: NodeWork) -> Prediction:
        """Return the seconds of a node whose models are loaded."""
        return self._alone(self._warm.predict(engine, node))

    def job(self, engine: str, work: JobWork, cached: Collection[str] = ()) -> Prediction:
        """Return the seconds of a job: its nodes without those that are cached, and the files that it has to load."""
        return self.forecast(engine, work, cached).whole

    def forecast(
        self, engine: str, work: JobWork, cached: Collection[str] = (), loaded: Container[str] = ()
    ) -> Forecast:
        """Return the seconds of a job and of its nodes.

        `loaded` are files that will have been loaded when it runs, by jobs that run before it.
        """
        self._remember_sizes(work)
        times = {node.node_id: self._warm.predict(engine, node) for node in work.nodes}
        nodes = [node for node in work.nodes if node.node_id not in cached]
        total = Total()
        for node in nodes:
            total.add(times[node.node_id])
        load = self._load(engine, nodes, loaded)
        if load is not None:
            total.add_load(load)
        predictions = {node_id: self._alone(warm) for node_id, warm in times.items()}
        return Forecast(engine, self._quantile.p90(total), predictions, load.seconds if load else 0.0, cached)

    def file_load(self, file: str) -> FileLoad:
        """Return the size of a model file, and the seconds to load it on an engine that has not loaded it."""
        size = self._sizes.get(file, UNKNOWN_BYTES)
        tier = Tier.PAGE_CACHE if file in self._machine_files else Tier.DISK
        load = self._loads.predict({tier: size, Tier.RAM: size})
        return FileLoad(size, load.seconds if load else 0.0)

    def gpu_bytes(self, engine: str) -> float:
        """Return the bytes of model files that fit into the memory of an engine's GPU."""
        return self._files(engine).gpu.capacity

    def set_gpu(self, engine: str, gpu: GpuClass) -> None:
        """Set the GPU class of an engine, which is known once ComfyUI has started."""
        self._gpus[engine] = gpu

    def load_seconds(self, engine: str, work: JobWork) -> float:
        """Return the seconds of loading the files that a job needs and that are not loaded on an engine."""
        self._remember_sizes(work)
        cached = self.expect_cached(engine, work)
        load = self._load(engine, [node for node in work.nodes if node.node_id not in cached])
        return load.seconds if load else 0.0

    def expect_cached(self, engine: str, work: JobWork) -> frozenset[str]:
        """Return the ids of the nodes whose results ComfyUI still has from the last job of an engine."""
        last = self._last_ancestry.get(engine)
        if not last:
            return frozenset()
        return frozenset(node_id for node_id, ancestry in work.ancestry.items() if ancestry in last)

    def learn(self, engine: str, run: NodeRun) -> None:
        """Learn from a node that ran on an engine.

        Call this for each node in the order in which they ran, and never for nodes that were cached. Call `job_ended`
        after the last one.
        """
        loaded = self._files(engine)
        load = self._loads.predict(loaded.missing(run.node.reads, run.node.models, self._sizes))
        if not run.completed:
            if usable(run.seconds) and load is None:
                self._warm.learn_at_least(engine, run.node, run.seconds)
            return
        if usable(run.seconds):
            self._learn_completed(engine, run, load)
        loaded.use(run.node.reads, run.node.models, self._sizes)

    def job_ended(self, engine: str, work: JobWork, completed: Container[str] | None = None) -> Drift | None:
        """Record that a job ended on an engine, which keeps its results until the next job.

        `completed` are the ids of the nodes that ran or were cached; None stands for all. Return a lasting change of
        the machine's speed if this job shows one, else None.
        """
        self._remember_sizes(work)
        kept = (ancestry for node, ancestry in work.ancestry.items() if completed is None or node in completed)
        self._last_ancestry[engine] = frozenset(kept)
        outcome = self._outcomes.pop(engine, None)
        if outcome is None:
            return None
        self._quantile.learn(outcome.expected, outcome.seconds)
        return self._drift(engine, outcome)

    def engine_restarted(self, engine: str) -> None:
        """Forget which files are loaded on an engine, and what it has cached."""
        self._files(engine).gpu.clear()
        self._last_ancestry.pop(engine, None)

    def set_memory(self, engine: str, gpu_bytes: float, machine_bytes: float) -> None:
        """Set the memory of an engine's GPU and of the machine, as far as it can hold model files."""
        self._files(engine).gpu.capacity = gpu_bytes
        self._machine_files.capacity = machine_bytes

    def slowdown(self, engine: str) -> float:
        """Return how much longer nodes take on this engine than its GPU class was learned to take: 1 means equal."""
        return math.exp(self._warm.machine(engine).mean)

    def imported_runs(self, engine: str) -> float:
        """Return the number of runs behind the imported priors of an engine's GPU class, 0 if none were imported."""
        gpu = self._gpus.get(engine)
        return self._state.imported.get(gpu.name, 0.0) if gpu else 0.0

    def saved(self) -> LearnedState:
        """Return everything that was learned."""
        return saved(self._state, self._warm, self._loads)

    def _alone(self, warm: WarmTime) -> Prediction:
        """Return the prediction of a single node."""
        total = Total()
        total.add(warm)
        return self._quantile.p90(total)

    def _learn_completed(self, engine: str, run: NodeRun, load: LoadTime | None) -> None:
        """Learn from a node that ran to its end. `load` are the files that it was expected to load."""
        warm = self._warm.predict(engine, run.node)
        self._outcomes.setdefault(engine, JobOutcome()).add(warm, load, run.seconds)
        load = self._likeliest(engine, run, warm, load)
        if load is None:
            self._warm.learn(engine, warm, run.seconds)
        else:
            self._learn_cold(engine, run, warm, load)

    def _drift(self, engine: str, outcome: JobOutcome) -> Drift | None:
        """Return the lasting change of a machine's speed that a job shows, and let the machine's effect follow."""
        deviation = outcome.expected_gpu.deviation * max(self._quantile.scale, 1.0)
        if not deviation:
            return None
        residual = math.log(outcome.gpu_seconds / outcome.expected_gpu.seconds)
        change = self._watches.setdefault(engine, DriftWatch()).add(residual, deviation)
        if change is None:
            return None
        self._warm.machine(engine).variance += DRIFT_VARIANCE
        return Drift(engine, math.exp(change))

    def _learn_cold(self, engine: str, run: NodeRun, warm: WarmTime, load: LoadTime) -> None:
        """Learn from a node that loaded files: the speed of the tier, and a little about its warm seconds.

        The residual is divided between the two by their parts of the seconds, each as uncertain as the other makes it.
        A node whose models another one evicts before every job would otherwise never be learned.
        """
        part = warm.seconds / (warm.seconds + load.seconds)
        warm_variance, load_variance, deviation = warm.variance + warm.noise, load.variance, _deviation(warm, load)
        residual = math.log(run.seconds / (warm.seconds + load.seconds))
        residual = min(max(residual, -CLIP * deviation), CLIP * deviation)
        if part < 1.0 - NOTICEABLE:
            self._loads.learn(load.tier, residual / (1.0 - part), warm_variance * (part / (1.0 - part)) ** 2)
        if part > NOTICEABLE:
            uncertainty = COLD_NOISE + load_variance * ((1.0 - part) / part) ** 2
            self._warm.learn(engine, warm, warm.seconds * math.exp(residual / part), uncertainty)

    def _likeliest(self, engine: str, run: NodeRun, warm: WarmTime, believed: LoadTime | None) -> LoadTime | None:
        """Return the load that a node had by its seconds, or None if its files were loaded.

        This is the believed one, unless the seconds contradict it and agree with the opposite. Then correct the belief.
        """
        if not run.node.reads and not run.node.models:
            return None
        loaded, seconds = self._files(engine), run.seconds
        evicted, bytes_by_tier = loaded.opposite(run.node.reads, run.node.models, self._sizes)
        opposite = self._loads.predict(bytes_by_tier)
        if abs(_deviations(seconds, warm, believed)) < CLIP or abs(_deviations(seconds, warm, opposite)) > PLAUSIBLE:
            return believed
        loaded.correct(run.node.reads, run.node.models, evicted)
        return opposite

    def _load(self, engine: str, nodes: Iterable[NodeWork], loaded: Container[str] = ()) -> LoadTime | None:
        """Return the loads of nodes that run one after the other."""
        reads = [file for node in nodes for file in node.reads]
        models = [file for node in nodes for file in node.models]
        return self._loads.predict(self._files(engine).missing(reads, models, self._sizes, loaded))

    def _files(self, engine: str) -> LoadedFiles:
        """Return the files that are loaded on an engine."""
        loaded = self._loaded.get(engine)
        if loaded is None:
            loaded = self._loaded[engine] = LoadedFiles(self._machine_files, GPU_BYTES)
        return loaded

    def _remember_sizes(self, work: JobWork) -> None:
        """Remember the sizes of the files of a job, which its runs do not tell."""
        self._sizes.update(work.model_bytes)


def _deviation(warm: WarmTime, load: LoadTime | None) -> float:
    """Return the standard deviation of the logarithm of a node's seconds together with those of a load."""
    part = warm.seconds / (warm.seconds + load.seconds) if load else 1.0
    load_variance = load.variance if load else 0.0
    return math.sqrt(part**2 * (warm.variance + warm.noise) + (1.0 - part) ** 2 * load_variance)


def _deviations(seconds: float, warm: WarmTime, load: LoadTime | None) -> float:
    """Return how many standard deviations the seconds of a node are above the predicted ones."""
    predicted = warm.seconds + (load.seconds if load else 0.0)
    return math.log(seconds / predicted) / _deviation(warm, load)
