"""Follows which model files are loaded, and learns how fast the others load."""

from __future__ import annotations

import math
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from worker.load.learning.effects import Belief

UNKNOWN_BYTES = 2e9
"""Assumed size of a model file of unknown size."""
MAX_FILES = 500


class Tier(StrEnum):
    """Where a model file is loaded from."""

    DISK = "disk"
    PAGE_CACHE = "page_cache"
    """The operating system's copy of a file that was read before."""
    RAM = "ram"
    """ComfyUI's own copy, which moves to the GPU."""


BYTES_PER_S = {Tier.DISK: 0.5e9, Tier.PAGE_CACHE: 2.5e9, Tier.RAM: 12e9}
LOAD_SPREAD, LOAD_DRIFT, LOAD_NOISE = 0.5, 0.002, 0.1
"""Of the logarithm of a load's seconds: variance before anything is learned, what a load adds, and noise of a load."""


class ResidentFiles:
    """The files that fit into a memory of which only the use is seen: the ones that were used last.

    `capacity` is corrected when a file turns out to have been evicted, or not to have been.
    """

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self._sizes: dict[str, float] = {}
        self._resident: frozenset[str] | None = frozenset()

    def __contains__(self, file: str) -> bool:
        """Return whether a file is expected to be in the memory."""
        if self._resident is None:
            self._resident = frozenset(self._fitting())
        return file in self._resident

    def was_used(self, file: str) -> bool:
        """Return whether a file was in the memory at some time."""
        return file in self._sizes

    def were_used_last(self, files: Collection[str]) -> bool:
        """Return whether no other file was used after these."""
        names = set(files)
        return names == set(islice(reversed(self._sizes), len(names)))

    def use(self, file: str, size: float) -> None:
        """Record that a file is in use."""
        self._sizes.pop(file, None)
        self._sizes[file] = size
        if len(self._sizes) > MAX_FILES:
            self._sizes.pop(next(iter(self._sizes)))
        self._resident = None

    def remove(self, file: str) -> None:
        """Record that a file is no longer in the memory."""
        if self._sizes.pop(file, None) is not None:
            self._resident = None

    def were_resident(self, files: Iterable[str]) -> None:
        """Record that all of these files were in the memory although that was not expected."""
        self.capacity = max(self.capacity, *(self._depth(file) for file in files), 0.0)
        self._resident = None

    def were_evicted(self, files: Iterable[str]) -> None:
        """Record that these files were not all in the memory although that was expected.

        The one that was used first must have been evicted.
        """
        depth = max((self._depth(file) for file in files), default=math.inf)
        self.capacity = min(self.capacity, depth * 0.999)
        self._resident = None

    def clear(self) -> None:
        """Forget the files, because the memory was emptied."""
        self._sizes.clear()
        self._resident = None

    def _depth(self, file: str) -> float:
        """Return the bytes of a file and of all files that were used after it, 0 for a file that was never used."""
        total = 0.0
        for name, size in reversed(self._sizes.items()):
            total += size
            if name == file:
                return total
        return 0.0

    def _fitting(self) -> Iterable[str]:
        """Yield the files that fit into the memory. The one that was used last always does."""
        total = 0.0
        for file, size in reversed(self._sizes.items()):
            total += size
            if total > self.capacity and total > size:
                return
            yield file


@dataclass(frozen=True, slots=True)
class LoadTime:
    """The median seconds of loads, the variance of their logarithm, and the tier that takes most of them."""

    seconds: float
    variance: float
    tier: Tier


class LoadTimes:
    """How fast each tier is, relative to `BYTES_PER_S`."""

    def __init__(self) -> None:
        self.tiers = {tier: Belief(0.0, LOAD_SPREAD, LOAD_DRIFT) for tier in Tier}

    def predict(self, loads: Mapping[Tier, float]) -> LoadTime | None:
        """Return the seconds that a number of bytes from each tier take to load, or None if there are none."""
        seconds = {tier: self._seconds(tier, size) for tier, size in loads.items() if size > 0}
        if not seconds:
            return None
        tier = max(seconds, key=lambda name: seconds[name])
        return LoadTime(sum(seconds.values()), self.tiers[tier].variance + LOAD_NOISE, tier)

    def learn(self, tier: Tier, residual: float, extra: float) -> None:
        """Learn from a load. `residual` is the logarithm of its seconds, minus that of the predicted ones.

        `extra` is the variance of the residual that comes from not knowing which part of the seconds was the load.
        """
        belief = self.tiers[tier]
        total = belief.variance + LOAD_NOISE + extra
        limit = 2.5 * math.sqrt(total)
        belief.learn(min(max(residual, -limit), limit), total)

    def _seconds(self, tier: Tier, size: float) -> float:
        """Return the seconds to load a number of bytes from a tier."""
        return size / BYTES_PER_S[tier] * math.exp(self.tiers[tier].mean)


class LoadedFiles:
    """The files in the memory of an engine's GPU, and in that of the machine, which its engines share."""

    def __init__(self, machine: ResidentFiles, gpu_bytes: float) -> None:
        self.machine = machine
        self.gpu = ResidentFiles(gpu_bytes)

    def use(self, reads: Iterable[str], models: Iterable[str], sizes: Mapping[str, float]) -> None:
        """Record that a node ran that read files, and used models on the GPU.

        A file that is read again becomes a new model for ComfyUI, which moves to the GPU again.
        """
        for file in reads:
            self.machine.use(file, sizes.get(file, UNKNOWN_BYTES))
            self.gpu.remove(file)
        for file in models:
            size = sizes.get(file, UNKNOWN_BYTES)
            self.machine.use(file, size)
            self.gpu.use(file, size)

    def missing(
        self,
        reads: Iterable[str],
        models: Iterable[str],
        sizes: Mapping[str, float],
        loaded: Container[str] = (),
    ) -> dict[Tier, float]:
        """Return the bytes that have to be loaded from each tier if nodes read files and use models on the GPU.

        Files in `loaded` count as loaded.
        """
        loads: dict[Tier, float] = {}
        read = dict.fromkeys(reads)
        for file in read:
            in_memory = file in self.machine or file in loaded
            _add(loads, Tier.PAGE_CACHE if in_memory else Tier.DISK, sizes.get(file, UNKNOWN_BYTES))
        for file in dict.fromkeys(models):
            if file in read or not (file in self.gpu or file in loaded):
                in_memory = file in read or file in self.machine
                _add(loads, Tier.RAM if in_memory else Tier.DISK, sizes.get(file, UNKNOWN_BYTES))
        return loads

    def opposite(
        self, reads: Collection[str], models: Collection[str], sizes: Mapping[str, float]
    ) -> tuple[bool, dict[Tier, float]] | None:
        """Return whether files of a node were evicted, if not all of them are where they are expected to be.

        Return the bytes to load in that case, too. Return None if a file was never used: then it is certainly not
        loaded. Return None as well if no other files were used in the meantime, which could have evicted them.
        """
        if not all(map(self.machine.was_used, reads)) or not all(map(self.gpu.was_used, models)):
            return None
        evicted = all(file in self.machine for file in reads) and all(file in self.gpu for file in models)
        if evicted and self.machine.were_used_last(reads) and self.gpu.were_used_last(models):
            return None
        read_tier = Tier.DISK if evicted else Tier.PAGE_CACHE
        loads = {read_tier: sum(sizes.get(file, UNKNOWN_BYTES) for file in reads)}
        if evicted:
            loads[Tier.RAM] = sum(sizes.get(file, UNKNOWN_BYTES) for file in models)
        return evicted, loads

    def correct(self, reads: Iterable[str], models: Iterable[str], evicted: bool) -> None:
        """Correct the capacities: files of a node were evicted, or not, contrary to what was expected."""
        for memory, files in ((self.machine, reads), (self.gpu, models)):
            if evicted:
                memory.were_evicted(files)
            else:
                memory.were_resident(files)


def _add(loads: dict[Tier, float], tier: Tier, size: float) -> None:
    """Add bytes to load from a tier."""
    loads[tier] = loads.get(tier, 0.0) + size
