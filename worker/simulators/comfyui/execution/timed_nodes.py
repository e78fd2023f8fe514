"""Node functions that take the seconds of a timings file."""

from __future__ import annotations

import time
from dataclasses import replace

from worker.simulators.comfyui.classes.registry import NodeRegistry
from worker.simulators.comfyui.execution.node_call import Clock, NodeCall, NodeFunction, NodeResult
from worker.simulators.comfyui.execution.simulate import collect_trace, is_sampler, step_count, working_size
from worker.simulators.comfyui.timings import Seconds, SimulatedNode, Timings


class PlannedClock:
    """The clock of one node call that takes a planned time, which includes the time of the engine's own code.

    Each piece of simulated work ends with the next of `parts` equal parts of the plan.
    """

    def __init__(self, clock: Clock, seconds: float, parts: int) -> None:
        self._clock = clock
        self._planned_s = seconds * clock.scale
        self._parts = parts
        self._done = 0
        self._started = time.perf_counter()

    @property
    def scale(self) -> float:
        """Real seconds that a second of simulated work takes."""
        return self._clock.scale

    def sleep(self, seconds: float) -> None:
        """Wait for the given real time."""
        self._clock.sleep(seconds)

    def work(self, seconds: float) -> None:
        """Wait until the next part of the planned time is over."""
        self._done += 1
        self._wait_until(self._planned_s * min(1.0, self._done / self._parts))

    def finish(self) -> None:
        """Wait until the planned time is over."""
        self._wait_until(self._planned_s)

    def _wait_until(self, offset_s: float) -> None:
        """Wait until so much time has passed since the start."""
        rest_s = self._started + offset_s - time.perf_counter()
        if rest_s > 0:
            self._clock.sleep(rest_s)


def with_timings(registry: NodeRegistry, timings: Timings | None) -> NodeRegistry:
    """Return the registry with every node function wrapped, or the registry itself without a file."""
    if timings is None:
        return registry
    return replace(
        registry,
        nodes={name: _timed(node, timings.seconds) for name, node in registry.nodes.items()},
        fallback=lambda node_class: _timed(registry.fallback(node_class), timings.seconds),
    )


def _timed(node: NodeFunction, seconds: Seconds) -> NodeFunction:
    """Return a node function that takes as long as `seconds` says."""

    def timed_node(call: NodeCall) -> NodeResult:
        planned_s = seconds(_simulated_node(call))
        if planned_s is None:
            return node(call)
        clock = PlannedClock(call.context.clock, planned_s, max(1, _steps(call)))
        result = node(replace(call, context=replace(call.context, clock=clock)))
        clock.finish()
        return result

    return timed_node


def _simulated_node(call: NodeCall) -> SimulatedNode:
    """Return the facts of a call that its duration may depend on."""
    size = working_size(call)
    return SimulatedNode(
        id=call.node_id,
        class_type=call.node_class.name,
        inputs=call.context.prompt[call.node_id]["inputs"],
        prompt=call.context.prompt,
        model=collect_trace(call).model,
        width=size.width,
        height=size.height,
        frames=size.length,
        batch=size.batch,
        steps=_steps(call),
    )


def _steps(call: NodeCall) -> int:
    """Return the steps that a sampler runs, and 0 for any other node."""
    return step_count(call) if is_sampler(call.node_class) else 0
