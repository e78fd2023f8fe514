"""Predicts and learns what loading files adds to the seconds of nodes."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from dataclasses import dataclass

from worker.load.forecast import FileLoad
from worker.load.learning.effects import CLIP
from worker.load.learning.file_sizes import FileSizes
from worker.load.learning.load_times import LoadKind, LoadTime, LoadTimes, Part, Tier
from worker.load.learning.residency import LoadedFiles, ResidentFiles
from worker.load.learning.warm_times import WarmTime, WarmTimes
from worker.load.node_work import NodeWork

GPU_BYTES, MACHINE_BYTES = 20e9, 32e9
"""Bytes of model files that fit into the memory of a GPU and of a machine, until it is known better."""
PLAUSIBLE = 2.0
"""Standard deviations that seconds may be off from a prediction that is taken as the true one."""
HIDDEN = 25.0
"""Variance of the logarithm of seconds above which nothing is learned from them."""
COLD_NOISE = 0.1
"""Variance of the warm part of a node that also loaded files: allocations and compilations come with a load."""


class Loading:
    """Which files each engine has loaded, and how fast it loads others."""

    def __init__(self) -> None:
        self.times = LoadTimes()
        self.sizes = FileSizes()
        self.machine_files = ResidentFiles(MACHINE_BYTES)
        self._engines: dict[str, LoadedFiles] = {}

    def files(self, engine: str) -> LoadedFiles:
        """Return the files that are loaded on an engine."""
        loaded = self._engines.get(engine)
        if loaded is None:
            loaded = self._engines[engine] = LoadedFiles(self.machine_files, GPU_BYTES, self.sizes)
        return loaded

    def load(self, engine: str, nodes: Sequence[NodeWork], loaded: Container[str] = ()) -> LoadTime | None:
        """Return the loads of nodes that run one after the other, or None if there are none.

        Files in `loaded` will have been loaded by then.
        """
        return self.times.predict(self.files(engine).missing(nodes, loaded), engine)

    def file_load(self, file: str) -> FileLoad:
        """Return the size of a model file, and the seconds to load it on an engine that has not loaded it."""
        tier = Tier.PAGE_CACHE if file in self.machine_files else Tier.DISK
        parts = {LoadKind(tier, part): size for part, size in self.sizes.parts(file).items()}
        load = self.times.predict({LoadKind(tier, Part.FILE): self.sizes.of(file), **parts})
        return FileLoad(self.sizes.of(file), load.seconds if load else 0.0)

    def likeliest(
        self, engine: str, node: NodeWork, seconds: float, warm: WarmTime, believed: LoadTime | None
    ) -> LoadTime | None:
        """Return the load that a node had by its seconds, or None if its files were loaded.

        This is the believed one, unless the seconds contradict it and agree with the opposite. Then correct the belief.
        """
        if not node.reads and not node.models:
            return None
        files = self.files(engine)
        contrary = files.opposite(node)
        if contrary is None:
            return believed
        evicted, bytes_by_load = contrary
        opposite = self.times.predict(bytes_by_load, engine)
        is_opposite = (
            abs(_deviations(seconds, warm, believed)) >= CLIP and abs(_deviations(seconds, warm, opposite)) <= PLAUSIBLE
        )
        if evicted and node.models:
            is_opposite = files.confirm_eviction(suspected=is_opposite)
        if not is_opposite:
            return believed
        files.correct(node, evicted=evicted)
        return opposite

    def learn(self, engine: str, seconds: float, warm: WarmTime, load: LoadTime, warm_times: WarmTimes) -> None:
        """Learn from a node that loaded files: the speed of the load, and a little about its warm seconds.

        The seconds of each are what the other leaves, as uncertain as the other is.
        A node whose models another one evicts before every job would otherwise never be learned.
        """
        warm_part = _TimePart(warm.seconds, warm.variance + warm.noise)
        load_part = _TimePart(load.seconds, load.variance)
        if rest := load_part.rest(seconds, warm_part):
            self.times.learn(engine, load.load, *rest)
        if rest := warm_part.rest(seconds, load_part):
            warm_times.learn(engine, warm, warm.seconds * math.exp(rest[0]), COLD_NOISE + rest[1])


@dataclass(frozen=True, slots=True)
class _TimePart:
    """One of the two parts of a node's seconds: those of its work, or those of its loads."""

    seconds: float
    variance: float

    def rest(self, seconds: float, other: _TimePart) -> tuple[float, float] | None:
        """Return how far this part is from its expected seconds, and the variance of that. Both are logarithms.

        `seconds` are those of both parts together. Return None if the other part hides this one.
        """
        uncertain = other.seconds * (math.exp(math.sqrt(other.variance)) - 1.0)
        plausible = self.seconds * math.exp(CLIP * math.sqrt(self.variance))
        rest = max(seconds - other.seconds, min(uncertain, self.seconds))
        variance = (uncertain / min(rest, plausible)) ** 2
        return (math.log(rest / self.seconds), variance) if variance < HIDDEN else None


def _deviation(warm: WarmTime, load: LoadTime | None) -> float:
    """Return the standard deviation of the logarithm of a node's seconds together with those of a load."""
    part = warm.seconds / (warm.seconds + load.seconds) if load else 1.0
    load_variance = load.variance if load else 0.0
    return math.sqrt(part**2 * (warm.variance + warm.noise) + (1.0 - part) ** 2 * load_variance)


def _deviations(seconds: float, warm: WarmTime, load: LoadTime | None) -> float:
    """Return how many standard deviations the seconds of a node are above the predicted ones."""
    predicted = warm.seconds + (load.seconds if load else 0.0)
    return math.log(seconds / predicted) / _deviation(warm, load)
