"""Predicts the seconds of nodes and jobs on each engine, and learns from every node that runs."""

from __future__ import annotations

import math
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass

from worker.load.forecast import Forecast
from worker.load.gpu_classes import GpuClass
from worker.load.learning.drift import Drift
from worker.load.learning.learned_state import LearnedState, restore, saved
from worker.load.learning.residency import UNKNOWN_BYTES, LoadedFiles, LoadTime, LoadTimes, ResidentFiles, Tier
from worker.load.learning.warm_times import WarmTime, WarmTimes, usable
from worker.load.node_work import JobWork, NodeWork
from worker.load.prediction import NOTHING, Z90, Prediction

GPU_BYTES, MACHINE_BYTES = 20e9, 32e9
"""Bytes of model files that fit into the memory of a GPU and of a machine, until it is known better."""
RESIDENT_FACTOR = 1.3
"""A node that takes less than this factor of its warm seconds had its models loaded."""
NOTICEABLE = 0.1
"""Seconds of a load, relative to the warm seconds, below which it cannot be told from noise."""
COLD_NOISE = 0.1
"""Variance of the warm part of a node that also loaded files: allocations and compilations come with a load."""
LARGEST_VARIANCE = 4.0
"""Largest variance of a job's logarithm: beyond it, p90 would be 13 times p50."""


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
        restore(self._state, self._warm, self._loads)

    def node(self, engine: str, node: NodeWork) -> Prediction:
        """Return the seconds of a node whose models are loaded."""
        warm = self._warm.predict(engine, node)
        return _lognormal(warm.seconds, warm.variance + warm.noise)

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
        load = self._load(engine, nodes, loaded)
        predictions = {node_id: _lognormal(time.seconds, time.variance + time.noise) for node_id, time in times.items()}
        whole = _sum([times[node.node_id] for node in nodes], load)
        return Forecast(engine, whole, predictions, load.seconds if load else 0.0, cached)

    def file_seconds(self, file: str) -> float:
        """Return the seconds to load a model file on an engine that has not loaded it."""
        size = self._sizes.get(file, UNKNOWN_BYTES)
        tier = Tier.PAGE_CACHE if file in self._machine_files else Tier.DISK
        load = self._loads.predict({tier: size, Tier.RAM: size})
        return load.seconds if load else 0.0

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

    def learn(self, engine: str, run: NodeRun) -> Drift | None:
        """Learn from a node that ran on an engine. Return a lasting change of the machine's speed, or None.

        Call this for each node in the order in which they ran, and never for nodes that were cached.
        """
        loaded = self._files(engine)
        load = self._loads.predict(loaded.missing(run.node.reads, run.node.models, self._sizes))
        drift = None
        if usable(run.seconds):
            drift = self._learn_completed(engine, run, load) if run.completed else None
            if not run.completed and load is None:
                self._warm.learn_at_least(engine, run.node, run.seconds)
        if run.completed:
            loaded.use(run.node.reads, run.node.models, self._sizes)
        return drift

    def job_ended(self, engine: str, work: JobWork, completed: Container[str] | None = None) -> None:
        """Record that a job ended on an engine, which keeps its results until the next job.

        `completed` are the ids of the nodes that ran or were cached; None stands for all.
        """
        self._remember_sizes(work)
        kept = (ancestry for node, ancestry in work.ancestry.items() if completed is None or node in completed)
        self._last_ancestry[engine] = frozenset(kept)

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

    def _learn_completed(self, engine: str, run: NodeRun, load: LoadTime | None) -> Drift | None:
        """Learn from a node that ran to its end. `load` are the files that it was expected to load."""
        warm = self._warm.predict(engine, run.node)
        if load is None:
            load = self._unexpected_load(engine, run, warm)
        if load is None or run.seconds < RESIDENT_FACTOR * warm.seconds:
            if load is not None and load.seconds > warm.seconds:
                self._found_resident(engine, run.node)
            return self._warm.learn(engine, run.node, run.seconds)
        self._learn_cold(engine, run, warm, load)
        return None

    def _learn_cold(self, engine: str, run: NodeRun, warm: WarmTime, load: LoadTime) -> None:
        """Learn from a node that loaded files: the speed of the tier, and a little about its warm seconds.

        Each of the two parts is as uncertain as the other. A node that is cold in every job, because another model
        evicts its own each time, would otherwise never be learned.
        """
        load_s = run.seconds - warm.seconds
        if load.seconds > NOTICEABLE * warm.seconds:
            uncertainty = (warm.variance + warm.noise) * (warm.seconds / load_s) ** 2
            self._loads.learn(load.tier, math.log(load_s / load.seconds), uncertainty)
        rest_s = run.seconds - load.seconds
        if rest_s > NOTICEABLE * run.seconds:
            uncertainty = COLD_NOISE + load.variance * (load.seconds / rest_s) ** 2
            self._warm.learn(engine, run.node, rest_s, uncertainty)

    def _unexpected_load(self, engine: str, run: NodeRun, warm: WarmTime) -> LoadTime | None:
        """Return the load of a node that took as long as if its models had been evicted, or None."""
        excess = math.log(run.seconds / warm.seconds)
        if not run.node.models or excess < 2.5 * math.sqrt(warm.variance + warm.noise):
            return None
        load = self._loads.predict({Tier.RAM: sum(self._sizes.get(file, 0.0) for file in run.node.models)})
        if load is None or abs(math.log(run.seconds / (warm.seconds + load.seconds))) > excess / 2:
            return None
        for file in run.node.models:
            self._files(engine).gpu.was_evicted(file)
        return load

    def _found_resident(self, engine: str, node: NodeWork) -> None:
        """Record that the files of a node were loaded although they were not expected to be."""
        loaded = self._files(engine)
        for file in node.models:
            loaded.gpu.was_resident(file)
        for file in node.reads:
            loaded.machine.was_resident(file)

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


def _sum(warm: list[WarmTime], load: LoadTime | None) -> Prediction:
    """Return the prediction of nodes that run one after the other, after a load.

    The effects that all nodes of the GPU share are wrong for all of them together; the others are independent.
    """
    seconds = sum(time.seconds for time in warm)
    together = sum(time.seconds * math.sqrt(time.shared) for time in warm)
    variance = together**2
    variance += sum(time.seconds**2 * (time.variance - time.shared + time.noise) for time in warm)
    if load is not None:
        seconds += load.seconds
        variance += load.seconds**2 * load.variance
    return _lognormal(seconds, variance / seconds**2) if seconds else NOTHING


def _lognormal(median_s: float, variance: float) -> Prediction:
    """Return the prediction for seconds whose logarithm has this variance."""
    return Prediction(median_s, median_s * math.exp(Z90 * math.sqrt(min(variance, LARGEST_VARIANCE))))
