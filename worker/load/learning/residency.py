"""Follows which model files are loaded, and which parts of them are on the GPU."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice

from worker.load.learning.file_sizes import FileSizes
from worker.load.learning.load_times import LoadKind, Part, Tier, part_of
from worker.load.node_work import NodeWork

MAX_FILES = 500
EVICTIONS = 2
"""Suspected evictions in a row that show that the memory is smaller than assumed."""


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
        if self._sizes.get(file) == size and next(reversed(self._sizes)) == file:
            return
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


class LoadedFiles:
    """The files in the memory of an engine's GPU, part by part, and in that of the machine, which its engines share."""

    def __init__(self, machine: ResidentFiles, gpu_bytes: float, sizes: FileSizes) -> None:
        self.machine = machine
        self.gpu = ResidentFiles(gpu_bytes)
        self._sizes = sizes
        self._read_from: dict[str, Tier] = {}
        """Where each file was when a loader of this engine read it last."""
        self._suspected = 0

    def clear(self) -> None:
        """Record that the engine has loaded nothing."""
        self.gpu.clear()
        self._read_from.clear()

    def use(self, node: NodeWork) -> None:
        """Record that a node ran that read files, or used models on the GPU.

        A file that is read again becomes a new model for ComfyUI, which moves to the GPU again.
        """
        for file in node.reads:
            self._read_from[file] = self._tier(file)
            self.machine.use(file, self._sizes.of(file))
            for part in Part:
                self.gpu.remove(_on_gpu(file, part))
        part = part_of(node.kind)
        for file in node.models:
            self.machine.use(file, self._sizes.of(file))
            self.gpu.use(_on_gpu(file, part), self._sizes.of_part(file, part))

    def missing(self, nodes: Sequence[NodeWork], loaded: Container[str] = ()) -> dict[LoadKind, float]:
        """Return the bytes of each load that nodes need which run one after the other.

        Files in `loaded` count as loaded.
        """
        reads = {file: self._tier(file, loaded) for node in nodes for file in node.reads}
        loads: defaultdict[LoadKind, float] = defaultdict(float)
        for file, tier in reads.items():
            loads[LoadKind(tier, Part.FILE)] += self._sizes.of(file)
        used = dict.fromkeys((file, part_of(node.kind)) for node in nodes for file in node.models)
        for file, part in used:
            for load in self._loads_of_user(file, part, reads, loaded):
                loads[load] += self._sizes.of_part(file, part)
        return loads

    def opposite(self, node: NodeWork) -> tuple[bool, dict[LoadKind, float]] | None:
        """Return whether files of a node were evicted, if not all of them are where they are expected to be.

        Return the bytes to load in that case, too. Return None if a file was never used: then it is certainly not
        loaded. Return None as well if no other files were used in the meantime, which could have evicted them, and for
        small parts of checkpoints, whose loads cannot be told from outliers.
        """
        part = part_of(node.kind)
        if any(self._sizes.is_minor(file, part) for file in node.models):
            return None
        models = [_on_gpu(file, part) for file in node.models]
        if not all(map(self.machine.was_used, node.reads)) or not all(map(self.gpu.was_used, models)):
            return None
        evicted = all(file in self.machine for file in node.reads) and all(model in self.gpu for model in models)
        if evicted and self.machine.were_used_last(node.reads) and self.gpu.were_used_last(models):
            return None
        read_tier = Tier.DISK if evicted else Tier.PAGE_CACHE
        loads = {LoadKind(read_tier, Part.FILE): sum(map(self._sizes.of, node.reads))}
        if evicted:
            loads[LoadKind(Tier.RAM, part)] = sum(self._sizes.of_part(file, part) for file in node.models)
        return evicted, loads

    def confirm_eviction(self, *, suspected: bool) -> bool:
        """Return whether files were evicted that were expected to be loaded, if the seconds of a node suggest it.

        A single node may be an outlier, so this takes two in a row of those of which an eviction would be seen.
        """
        self._suspected = self._suspected + 1 if suspected else 0
        return self._suspected >= EVICTIONS

    def correct(self, node: NodeWork, *, evicted: bool) -> None:
        """Correct the capacities: files of a node were evicted, or not, contrary to what was expected."""
        part = part_of(node.kind)
        models = [_on_gpu(file, part) for file in node.models]
        for memory, files in ((self.machine, node.reads), (self.gpu, models)):
            if evicted:
                memory.were_evicted(files)
            else:
                memory.were_resident(files)

    def _tier(self, file: str, loaded: Container[str] = ()) -> Tier:
        """Return where a loader would read a file from."""
        return Tier.PAGE_CACHE if file in self.machine or file in loaded else Tier.DISK

    def _loads_of_user(
        self, file: str, part: Part, reads: Mapping[str, Tier], loaded: Container[str]
    ) -> Iterator[LoadKind]:
        """Yield the loads of a node that uses a part of a file, after loaders read those of `reads`."""
        model = _on_gpu(file, part)
        if file in reads:
            yield LoadKind(reads[file], part)
        elif model in self.gpu or file in loaded:
            return
        elif file in self._read_from and not self.gpu.was_used(model):
            yield LoadKind(self._read_from[file], part)
        elif file in self.machine:
            yield LoadKind(Tier.RAM, part)
        else:  # it loads the file itself
            yield LoadKind(Tier.DISK, Part.FILE)
            yield LoadKind(Tier.DISK, part)


def _on_gpu(file: str, part: Part) -> str:
    """Return the name of a part of a file in the memory of a GPU."""
    return f"{part}:{file}"
