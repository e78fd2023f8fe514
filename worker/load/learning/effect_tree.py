"""Finds the effects of a node by its GPU class, kind, family, precision and shape."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from worker.load.learning.effects import EARLY_RUNS, NOISE_FLOOR, Effect, ShapeEffect
from worker.load.node_work import NodeKind, NodeWork

MAX_SHAPES = 2000
"""Shapes that are remembered. The one that has not run for the longest time is forgotten first."""
GPU_KINDS = (NodeKind.SAMPLER, NodeKind.VAE_DECODE, NodeKind.VAE_ENCODE, NodeKind.TEXT_ENCODE, NodeKind.UPSCALE)
HOST, REMOTE = "host", "remote"
"""Roots of the nodes that run on the CPU, and of those that run on another machine."""


class Key(NamedTuple):
    """What the effect of a node depends on."""

    root: str
    """Name of the GPU class, `HOST` or `REMOTE`."""
    kind: str
    """The kind. Of a kind without a closed form, with the class: each class has a cost of its own."""
    family: str
    precision: str
    class_type: str
    shape: str


@dataclass(frozen=True, slots=True)
class Spreads:
    """Variance of the effect on each level before anything is learned, and of the noise of one run."""

    root: float
    kind: float
    family: float
    precision: float
    shape: float
    noise: float
    reach: float = math.inf
    """Largest effect of a shape that its relatives believe."""


GPU_SPREADS = Spreads(root=0.25, kind=0.1, family=0.25, precision=0.05, shape=0.3, noise=0.02, reach=2.5)
HOST_SPREADS = Spreads(root=0.05, kind=0.5, family=0.1, precision=0.01, shape=0.3, noise=0.06)
UNKNOWN_SPREADS = Spreads(root=0.05, kind=4.0, family=0.1, precision=0.01, shape=0.3, noise=0.06)
"""For kinds without a closed form: their prior is a guess."""


def runs_on_gpu(node: NodeWork) -> bool:
    """Return whether the speed of the GPU determines the seconds of a node."""
    return node.kind in GPU_KINDS or (node.kind is NodeKind.OTHER and node.tflop > 0)


def key_of(node: NodeWork, gpu: str) -> Key:
    """Return the key of a node on a class of GPUs."""
    kind, root = str(node.kind), gpu
    if node.kind not in GPU_KINDS:
        if node.kind in (NodeKind.OTHER, NodeKind.API):
            kind = f"{kind}:{node.class_type}"
        if not runs_on_gpu(node):
            root = REMOTE if node.kind is NodeKind.API else HOST
    return Key(root, kind, node.family, node.precision, node.class_type, node.shape)


def spreads_of(key: Key) -> Spreads:
    """Return the spreads of a key."""
    if ":" in key.kind:
        return UNKNOWN_SPREADS
    return HOST_SPREADS if key.root == HOST else GPU_SPREADS


class EffectTree:
    """The effects of all nodes that ran on this machine or were imported."""

    def __init__(self) -> None:
        self._shapes: dict[Key, ShapeEffect] = {}
        self._branches: dict[tuple[str, ...], Effect] = {}
        self._noise: dict[tuple[str, str], float] = {}

    def __iter__(self) -> Iterator[tuple[Key, ShapeEffect]]:
        """Yield the shapes with their keys, the one that ran last at the end."""
        return iter(self._shapes.items())

    def find(self, key: Key) -> ShapeEffect:
        """Return the effect of a key. If no such node ran yet, return one that follows from those of its relatives."""
        return self._shapes.get(key) or self._shape(key, {})

    def use(self, key: Key) -> ShapeEffect:
        """Return the effect of a key to learn, and mark it as the one that ran last."""
        shape = self._shapes.pop(key, None) or self._shape(key, self._branches)
        if len(self._shapes) >= MAX_SHAPES:
            forgotten = self._shapes.pop(next(iter(self._shapes)))
            forgotten.absorb(-forgotten.precision, -forgotten.pull)
        self._shapes[key] = shape
        return shape

    def learn_noise(self, key: Key, shape: ShapeEffect, residual: float, variance: float) -> None:
        """Learn the noise of a shape, and what noise to expect from new shapes of its kind."""
        shape.learn_noise(residual, variance)
        kind = key[:2]
        noise = self._noise.setdefault(kind, spreads_of(key).noise)
        self._noise[kind] = noise + 0.05 * (shape.noise - noise)

    def restore(
        self, key: Key, mean: float, variance: float, runs: float, noise: float, together: float
    ) -> ShapeEffect:
        """Set what is known about a shape from before, and return it."""
        shape = self.use(key)
        shape.absorb(1.0 / variance - shape.precision, mean / variance - shape.pull)
        shape.runs, shape.noise, shape.together = runs, max(noise, NOISE_FLOOR), together
        shape.early = [mean] * EARLY_RUNS
        self._noise.setdefault(key[:2], shape.noise)
        return shape

    def _shape(self, key: Key, branches: dict[tuple[str, ...], Effect]) -> ShapeEffect:
        """Return a shape of which no run is known. Branches that do not exist yet are added to `branches`."""
        spreads = spreads_of(key)
        parent: Effect | None = None
        for depth, spread in enumerate((spreads.root, spreads.kind, spreads.family, spreads.precision), start=1):
            if key[depth - 1]:  # nodes without a model have no family
                parent = self._branches.get(key[:depth]) or branches.setdefault(key[:depth], Effect(spread, parent))
        noise = self._noise.get(key[:2], spreads.noise)
        return ShapeEffect.below(parent, spreads.shape, noise, spreads.reach)
