"""Predicts and learns what loading files adds to the seconds of nodes."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping

from worker.load.forecast import FileLoad
from worker.load.learning.effects import CLIP
from worker.load.learning.residency import UNKNOWN_BYTES, LoadedFiles, LoadTime, LoadTimes, ResidentFiles, Tier
from worker.load.learning.warm_times import WarmTime, WarmTimes
from worker.load.node_work import NodeWork

GPU_BYTES, MACHINE_BYTES = 20e9, 32e9
"""Bytes of model files that fit into the memory of a GPU and of a machine, until it is known better."""
MAX_SIZES = 2000
PLAUSIBLE = 2.0
"""Standard deviations that seconds may be off from a prediction that is taken as the true one."""
NOTICEABLE = 0.1
"""Part of a node's seconds below which a load, or the rest, cannot be told from noise."""
COLD_NOISE = 0.1
"""Variance of the warm part of a node that also loaded files: allocations and compilations come with a load."""


class Loading:
    """Which files each engine has loaded, and how fast it loads others."""

    def __init__(self) -> None:
        self.times = LoadTimes()
        self.machine_files = ResidentFiles(MACHINE_BYTES)
        self._engines: dict[str, LoadedFiles] = {}
        self._sizes: dict[str, float] = {}

    def remember_sizes(self, sizes: Mapping[str, float]) -> None:
        """Remember the sizes of files, which the runs of nodes do not tell."""
        if len(self._sizes) > MAX_SIZES:
            self._sizes.clear()
        self._sizes.update(sizes)

    def files(self, engine: str) -> LoadedFiles:
        """Return the files that are loaded on an engine."""
        loaded = self._engines.get(engine)
        if loaded is None:
            loaded = self._engines[engine] = LoadedFiles(self.machine_files, GPU_BYTES)
        return loaded

    def load(self, engine: str, nodes: Iterable[NodeWork], loaded: Container[str] = ()) -> LoadTime | None:
        """Return the loads of nodes that run one after the other, or None if there are none.

        Files in `loaded` will have been loaded by then.
        """
        reads = [file for node in nodes for file in node.reads]
        models = [file for node in nodes for file in node.models]
        return self.times.predict(self.files(engine).missing(reads, models, self._sizes, loaded))

    def file_load(self, file: str) -> FileLoad:
        """Return the size of a model file, and the seconds to load it on an engine that has not loaded it."""
        size = self._sizes.get(file, UNKNOWN_BYTES)
        tier = Tier.PAGE_CACHE if file in self.machine_files else Tier.DISK
        load = self.times.predict({tier: size, Tier.RAM: size})
        return FileLoad(size, load.seconds if load else 0.0)

    def use(self, engine: str, node: NodeWork) -> None:
        """Record that a node ran, which leaves its files loaded."""
        self.files(engine).use(node.reads, node.models, self._sizes)

    def likeliest(
        self, engine: str, node: NodeWork, seconds: float, warm: WarmTime, believed: LoadTime | None
    ) -> LoadTime | None:
        """Return the load that a node had by its seconds, or None if its files were loaded.

        This is the believed one, unless the seconds contradict it and agree with the opposite. Then correct the belief.
        """
        if not node.reads and not node.models:
            return None
        files = self.files(engine)
        contrary = files.opposite(node.reads, node.models, self._sizes)
        if contrary is None:
            return believed
        evicted, bytes_by_tier = contrary
        opposite = self.times.predict(bytes_by_tier)
        if abs(_deviations(seconds, warm, believed)) < CLIP or abs(_deviations(seconds, warm, opposite)) > PLAUSIBLE:
            return believed
        files.correct(node.reads, node.models, evicted)
        return opposite

    def learn(self, engine: str, seconds: float, warm: WarmTime, load: LoadTime, warm_times: WarmTimes) -> None:
        """Learn from a node that loaded files: the speed of the tier, and a little about its warm seconds.

        The residual is divided between the two by their parts of the seconds, each as uncertain as the other makes it.
        A node whose models another one evicts before every job would otherwise never be learned.
        """
        part = warm.seconds / (warm.seconds + load.seconds)
        warm_variance, deviation = warm.variance + warm.noise, _deviation(warm, load)
        residual = math.log(seconds / (warm.seconds + load.seconds))
        residual = min(max(residual, -CLIP * deviation), CLIP * deviation)
        if part < 1.0 - NOTICEABLE:
            self.times.learn(load.tier, residual / (1.0 - part), warm_variance * (part / (1.0 - part)) ** 2)
        if part > NOTICEABLE:
            uncertainty = COLD_NOISE + load.variance * ((1.0 - part) / part) ** 2
            warm_times.learn(engine, warm, warm.seconds * math.exp(residual / part), uncertainty)


def _deviation(warm: WarmTime, load: LoadTime | None) -> float:
    """Return the standard deviation of the logarithm of a node's seconds together with those of a load."""
    part = warm.seconds / (warm.seconds + load.seconds) if load else 1.0
    load_variance = load.variance if load else 0.0
    return math.sqrt(part**2 * (warm.variance + warm.noise) + (1.0 - part) ** 2 * load_variance)


def _deviations(seconds: float, warm: WarmTime, load: LoadTime | None) -> float:
    """Return how many standard deviations the seconds of a node are above the predicted ones."""
    predicted = warm.seconds + (load.seconds if load else 0.0)
    return math.log(seconds / predicted) / _deviation(warm, load)
