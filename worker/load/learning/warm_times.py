"""Predicts and learns the seconds of nodes whose models are loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from worker.load.gpu_classes import UNKNOWN, GpuClass
from worker.load.learning.effect_tree import HOST, REMOTE, EffectTree, Key, key_of
from worker.load.learning.effects import Belief
from worker.load.node_work import NodeWork
from worker.load.prior import prior_seconds

SHORTEST_S, LONGEST_S = 0.001, 7200.0
"""Seconds that a node may take. Other values are errors of the clock or of the engine, and teach nothing."""
LONGEST_PRIOR_S = 1e6
MOST_PREDICTED = 10_000
"""Predictions that are kept."""
MACHINE_SPREAD, MACHINE_DRIFT = 0.1, 5e-6
"""Variance of the machines of one GPU class, and variance that each run adds."""


@dataclass(frozen=True, slots=True)
class WarmTime:
    """The median seconds of a node, and the variance of their logarithm."""

    key: Key
    seconds: float
    effect: float
    """Logarithm of the factor between the closed form and `seconds`, without the machine's effect."""
    variance: float
    """Of the prediction, without the noise of the run."""
    shared: float
    """The part of `variance` that all nodes on this GPU have in common. 0 for nodes that run elsewhere."""
    noise: float
    together: float
    """Variance of the jobs in which this is the largest node, divided by that of independent nodes."""
    is_known: bool
    """Whether enough nodes of this shape ran to tell a change of the machine from a wrong prior."""


class WarmTimes:
    """The effects of nodes, and of each engine's machine."""

    def __init__(self, gpus: Mapping[str, GpuClass]) -> None:
        self._gpus = gpus
        self.tree = EffectTree()
        self.machines: dict[str, Belief] = {}
        self._predicted: dict[tuple[str, NodeWork], WarmTime] = {}
        """What was predicted since anything was learned. The jobs of a queue have many equal nodes."""

    def predict(self, engine: str, node: NodeWork) -> WarmTime:
        """Return the seconds of a node on an engine."""
        predicted = self._predicted.get((engine, node))
        if predicted is None:
            if len(self._predicted) >= MOST_PREDICTED:
                self._predicted.clear()
            predicted = self._predicted[engine, node] = self._predict(engine, node)
        return predicted

    def outdate(self) -> None:
        """Record that something has changed that predictions depend on."""
        self._predicted.clear()

    def _predict(self, engine: str, node: NodeWork) -> WarmTime:
        """Compute the seconds of a node on an engine."""
        gpu = self._gpus.get(engine, UNKNOWN)
        key = key_of(node, gpu.name)
        shape = self.tree.find(key)
        effect, variance = shape.moments()
        mean, shared = effect, 0.0
        if key.root not in (HOST, REMOTE):
            machine = self.machine(engine)
            root = shape.branch[0]
            mean += machine.mean
            variance += machine.variance
            shared = min(machine.variance + root.spread / (1.0 + root.precision * root.spread), variance)
        # A prior is never 0, because an effect is a factor, and 0 has none.
        prior = min(max(SHORTEST_S, prior_seconds(node, gpu)), LONGEST_PRIOR_S)
        seconds = min(max(prior * math.exp(mean), SHORTEST_S), LONGEST_S)
        is_known = shape.is_known(effect)
        return WarmTime(key, seconds, effect, variance, shared, shape.noise, shape.together, is_known)

    def learn(self, engine: str, expected: WarmTime, seconds: float, extra: float = 0.0) -> None:
        """Learn from a node that ran, and for which `predict` returned `expected`.

        `extra` is the variance of the seconds' logarithm that does not come from the node, such as that of a load.
        """
        self.outdate()
        shape = self.tree.use(expected.key)
        total = expected.variance + expected.noise + extra
        residual = shape.clipped(math.log(seconds / expected.seconds), math.sqrt(total))
        vague = expected.noise + extra
        if expected.shared:
            machine = self.machine(engine)
            vague += machine.variance
            if expected.is_known:  # the effect of a new shape cannot be told from the machine's
                machine.learn(residual, total)
        shape.learn(expected.effect + residual, vague, is_vague=extra > 0.0)
        if not extra:
            self.tree.learn_noise(expected.key, shape, residual, expected.variance)

    def learn_at_least(self, engine: str, node: NodeWork, seconds: float) -> None:
        """Learn from a node that was cancelled or failed. If it took less than expected, learn nothing."""
        expected = self.predict(engine, node)
        if seconds > expected.seconds:
            # The rest that it would have needed is not known: this is a vague observation.
            self.learn(engine, expected, seconds, extra=expected.noise)

    def learn_together(self, largest: WarmTime, variance: float) -> None:
        """Learn from the squared residual of a job, divided by the variance of independent nodes."""
        self.outdate()
        self.tree.find(largest.key).learn_together(variance)

    def machine(self, engine: str) -> Belief:
        """Return the effect of an engine's machine, compared with its GPU class."""
        machine = self.machines.get(engine)
        if machine is None:
            machine = self.machines[engine] = Belief(0.0, MACHINE_SPREAD, MACHINE_DRIFT)
        return machine


def usable(seconds: float) -> bool:
    """Return whether seconds can be those of a node."""
    return SHORTEST_S < seconds < LONGEST_S  # False for NaN
