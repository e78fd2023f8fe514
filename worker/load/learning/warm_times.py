"""Predicts and learns the seconds of nodes whose models are loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from worker.load.gpu_classes import UNKNOWN, GpuClass
from worker.load.learning.drift import Drift, DriftWatch
from worker.load.learning.effect_tree import EffectTree, key_of, runs_on_gpu
from worker.load.learning.effects import TRUSTED_RUNS, Belief
from worker.load.node_work import NodeWork
from worker.load.prior import prior_seconds

SHORTEST_S, LONGEST_S = 0.001, 7200.0
"""Seconds that a node may take. Other values are errors of the clock or of the engine, and teach nothing."""
LONGEST_PRIOR_S = 1e6
MACHINE_SPREAD, MACHINE_DRIFT = 0.1, 2e-5
"""Variance of the machines of one GPU class, and variance that each run adds."""
DRIFT_VARIANCE = 0.1
"""Variance that a detected change adds to the effect of a machine, so that it follows at once."""


@dataclass(frozen=True, slots=True)
class WarmTime:
    """The median seconds of a node, and the variance of their logarithm."""

    seconds: float
    variance: float
    """Of the prediction, without the noise of the run."""
    shared: float
    """The part of `variance` that all nodes on this GPU have in common."""
    noise: float


class WarmTimes:
    """The effects of nodes, and of each engine's machine."""

    def __init__(self, gpus: Mapping[str, GpuClass]) -> None:
        self._gpus = gpus
        self.tree = EffectTree()
        self.machines: dict[str, Belief] = {}
        self._watches: dict[str, DriftWatch] = {}

    def predict(self, engine: str, node: NodeWork) -> WarmTime:
        """Return the seconds of a node on an engine."""
        gpu = self._gpu(engine)
        shape = self.tree.find(key_of(node, gpu.name))
        mean, variance = shape.moments()
        shared = 0.0
        if runs_on_gpu(node):
            machine = self.machine(engine)
            root = shape.branch[0]
            mean += machine.mean
            variance += machine.variance
            shared = machine.variance + root.spread / (1.0 + root.precision * root.spread)
        seconds = _limited(_prior(node, gpu) * math.exp(mean))
        return WarmTime(seconds, variance, min(shared, variance), shape.noise)

    def learn(self, engine: str, node: NodeWork, seconds: float, extra: float = 0.0) -> Drift | None:
        """Learn from a node that ran. Return a lasting change of the machine, or None.

        `extra` is the variance of the seconds' logarithm that does not come from the node, such as that of a load.
        """
        gpu = self._gpu(engine)
        key = key_of(node, gpu.name)
        shape = self.tree.use(key)
        mean, variance = shape.moments()
        machine = self.machine(engine) if runs_on_gpu(node) else Belief(0.0, 0.0, 0.0)
        residual = math.log(seconds / _prior(node, gpu)) - mean - machine.mean
        drift = None
        if machine.variance and not extra and shape.runs >= TRUSTED_RUNS:
            drift = self._watch(engine, residual, variance + machine.variance + shape.noise)
        total = variance + machine.variance + shape.noise + extra  # after a change, the machine's is larger
        clipped = shape.clipped(residual, math.sqrt(total))
        shape.learn(mean + clipped, shape.noise + extra + machine.variance)
        machine.learn(clipped, total)
        if not extra:
            self.tree.learn_noise(key, shape, clipped, total - shape.noise)
        return drift

    def learn_at_least(self, engine: str, node: NodeWork, seconds: float) -> None:
        """Learn from a node that was cancelled or failed. If it took less than expected, learn nothing."""
        expected = self.predict(engine, node)
        if seconds > expected.seconds:
            # The rest that it would have needed is not known: this is a vague observation.
            self.learn(engine, node, seconds, extra=expected.noise)

    def machine(self, engine: str) -> Belief:
        """Return the effect of an engine's machine, compared with its GPU class."""
        machine = self.machines.get(engine)
        if machine is None:
            machine = self.machines[engine] = Belief(0.0, MACHINE_SPREAD, MACHINE_DRIFT)
        return machine

    def _watch(self, engine: str, residual: float, variance: float) -> Drift | None:
        """Watch the residual of a run for a lasting change of the machine. If it is one, let the machine follow."""
        watch = self._watches.setdefault(engine, DriftWatch())
        change = watch.add(residual, math.sqrt(variance))
        if change is None:
            return None
        self.machine(engine).variance += DRIFT_VARIANCE
        return Drift(engine, math.exp(change))

    def _gpu(self, engine: str) -> GpuClass:
        """Return the GPU class of an engine."""
        return self._gpus.get(engine, UNKNOWN)


def usable(seconds: float) -> bool:
    """Return whether seconds can be those of a node."""
    return SHORTEST_S < seconds < LONGEST_S  # False for NaN


def _prior(node: NodeWork, gpu: GpuClass) -> float:
    """Return the seconds of the closed form. They are never 0, because an effect is a factor, and 0 has none."""
    return min(max(SHORTEST_S, prior_seconds(node, gpu)), LONGEST_PRIOR_S)


def _limited(seconds: float) -> float:
    """Return predicted seconds within the range of seconds that can be learned."""
    return min(max(seconds, SHORTEST_S), LONGEST_S)
