"""Learns how fast model files load, from each tier and for each kind of node that loads them.

Where the time goes depends on how ComfyUI loads. Either its loaders read files into memory, and the nodes that use them
move them to the GPU in little time. Or loaders only map files, which takes milliseconds, and the first node that uses a
model reads it from the disk. Each has a speed of its own here, so that both are learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from worker.load.learning.effects import Belief
from worker.load.node_work import NodeKind

LOAD_SPREAD, LOAD_DRIFT, LOAD_NOISE = 0.5, 0.002, 0.1
"""Of the logarithm of a load's seconds: variance before anything is learned, what a load adds, and noise of a load."""
BUS_SPREAD = 0.05
"""Variance of the buses of the GPUs of a machine."""


class Tier(StrEnum):
    """Where a model file is loaded from."""

    DISK = "disk"
    PAGE_CACHE = "page_cache"
    """The operating system's copy of a file that was read before."""
    RAM = "ram"
    """ComfyUI's own copy, which moves to the GPU."""


class Part(StrEnum):
    """What is loaded: a file by a loader, or the part of it that a kind of node uses on the GPU.

    A checkpoint has all of these parts, and each moves to the GPU with the first node that uses it.
    """

    FILE = "file"
    MODEL = "model"
    TEXT_ENCODER = "text_encoder"
    VAE = "vae"


_PARTS = {NodeKind.TEXT_ENCODE: Part.TEXT_ENCODER, NodeKind.VAE_DECODE: Part.VAE, NodeKind.VAE_ENCODE: Part.VAE}


def part_of(kind: NodeKind) -> Part:
    """Return the part of a file that a kind of node uses on the GPU."""
    return _PARTS.get(kind, Part.MODEL)


class LoadKind(NamedTuple):
    """A kind of load, with a speed of its own."""

    tier: Tier
    part: Part

    def __str__(self) -> str:
        """Return the name in a learned state."""
        return f"{self.tier}/{self.part}"


LOADS = {str(load): load for load in (LoadKind(tier, part) for tier in Tier for part in Part)}
"""All kinds of loads, by their names."""


def assumed_bytes_per_s(load: LoadKind) -> float:
    """Return the speed of a load before anything is learned: loaders read files, and other nodes move them."""
    if load.part is not Part.FILE or load.tier is Tier.RAM:
        return 12e9
    return 0.5e9 if load.tier is Tier.DISK else 2.5e9


@dataclass(frozen=True, slots=True)
class LoadTime:
    """The median seconds of loads, the variance of their logarithm, and the load that takes most of them."""

    seconds: float
    variance: float
    load: LoadKind


class LoadTimes:
    """How fast each load is, relative to `assumed_bytes_per_s`: on all engines, and on each compared with the others.

    The engines share the disk, but each GPU has a bus of its own.
    """

    def __init__(self) -> None:
        self.beliefs = {load: Belief(0.0, LOAD_SPREAD, LOAD_DRIFT) for load in LOADS.values()}
        self._buses: dict[tuple[str, LoadKind], Belief] = {}

    def predict(self, loads: Mapping[LoadKind, float], engine: str = "") -> LoadTime | None:
        """Return the seconds that a number of bytes of each load take, or None if there are none."""
        seconds = {load: self._seconds(engine, load, size) for load, size in loads.items() if size > 0}
        if not seconds:
            return None
        longest = max(seconds, key=lambda load: seconds[load])
        bus = self._bus(engine, longest)
        return LoadTime(sum(seconds.values()), self.beliefs[longest].variance + bus.variance + LOAD_NOISE, longest)

    def learn(self, engine: str, load: LoadKind, residual: float, extra: float) -> None:
        """Learn from a load. `residual` is the logarithm of its seconds, minus that of the predicted ones.

        `extra` is the variance of the residual that comes from not knowing which part of the seconds was the load.
        """
        belief, bus = self.beliefs[load], self._bus(engine, load)
        total = belief.variance + bus.variance + LOAD_NOISE + extra
        limit = 2.5 * math.sqrt(total)
        residual = min(max(residual, -limit), limit)
        belief.learn(residual, total)
        if load.part is not Part.FILE:
            bus.learn(residual, total)
            self._buses[engine, load] = bus

    def _bus(self, engine: str, load: LoadKind) -> Belief:
        """Return how much longer a load takes on an engine than on all of them."""
        spread = 0.0 if load.part is Part.FILE else BUS_SPREAD
        return self._buses.get((engine, load)) or Belief(0.0, spread, LOAD_DRIFT)

    def _seconds(self, engine: str, load: LoadKind, size: float) -> float:
        """Return the seconds that a number of bytes take."""
        factor = math.exp(self.beliefs[load].mean + self._bus(engine, load).mean)
        return size / assumed_bytes_per_s(load) * factor
