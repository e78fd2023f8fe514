"""Injects faults before the nodes that they name. Counts are kept on disk, because some faults end the process."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson

from worker.errors import InvalidFault
from worker.simulators.comfyui.classes.registry import NodeRegistry
from worker.simulators.comfyui.execution.node_call import Clock, NodeCall, NodeError, NodeFunction, NodeResult
from worker.simulators.comfyui.faults.fault import EngineFault, FaultKind, parse_faults
from worker.simulators.comfyui.server.hub import Hub

FAULT_KEY = "embedded_fault"
"""The key in `extra_data` with the faults of one prompt."""
OOM = "Allocation on device 0 would exceed allowed memory. (injected fault)"
CUDA = "CUDA error: an illegal memory access was encountered (injected fault)"


class SlowClock:
    """A clock whose simulated work takes `factor` times as long."""

    def __init__(self, clock: Clock, factor: float) -> None:
        self._clock = clock
        self._factor = factor

    @property
    def scale(self) -> float:
        """Real seconds that a second of simulated work takes."""
        return self._clock.scale * self._factor

    def sleep(self, seconds: float) -> None:
        """Wait for the given real time."""
        self._clock.sleep(seconds)

    def work(self, seconds: float) -> None:
        """Take the time of the given simulated work, multiplied by the factor."""
        self._clock.work(seconds * self._factor)


class FaultInjector:
    """Injects the faults of the engine's settings, of a prompt's header, and of the node `EmbeddedFault`."""

    def __init__(self, faults: Sequence[EngineFault], counts_file: Path, hub: Hub) -> None:
        self._faults = faults
        self._counts_file = counts_file
        self._hub = hub
        self._lock = threading.Lock()
        self._errors_due = 0
        self._history_delay_s = 0.0
        self.gpu_is_broken = False
        """True after the fault `cuda`."""
        self.prompt_thread_ends = False
        """True after the fault `thread`."""

    def wrap(self, node: NodeFunction) -> NodeFunction:
        """Return a node function that injects the faults which are due before it calls `node`."""

        def faulty_node(call: NodeCall) -> NodeResult:
            if self.gpu_is_broken:
                raise NodeError(CUDA, "torch.AcceleratorError")
            clock = call.context.clock
            for fault in (*self._faults, *_prompt_faults(call)):
                if fault.matches(call.node_id, call.node_class.name):
                    clock = self._inject(fault, clock)
            if clock is not call.context.clock:
                call = replace(call, context=replace(call.context, clock=clock))
            return node(call)

        return faulty_node

    def embedded_fault(self, call: NodeCall) -> NodeResult:
        """Run the node EmbeddedFault: inject the faults of its input `fault`, and return its image."""
        call.log_begin()
        try:
            faults = parse_faults(call.text("fault"))
        except InvalidFault as error:
            raise NodeError(str(error), "ValueError") from error
        for fault in faults:
            self._inject(fault, call.context.clock)
        return NodeResult((call.images("image"),))

    def _inject(self, fault: EngineFault, clock: Clock) -> Clock:
        """Inject a fault if it is due. Return the clock for the node, which the fault `slow` replaces."""
        if not self._count_chance(fault):
            return clock
        match fault.kind:
            case FaultKind.CRASH | FaultKind.FREEZE:
                os.kill(os.getpid(), signal.SIGKILL if fault.kind is FaultKind.CRASH else signal.SIGSTOP)
            case FaultKind.HANG:
                clock.sleep(threading.TIMEOUT_MAX)
            case FaultKind.SLOW:
                clock.sleep(fault["seconds"])
                return SlowClock(clock, fault["factor"])
            case FaultKind.OOM:
                raise NodeError(OOM, "torch.OutOfMemoryError")
            case FaultKind.FULL:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            case _:
                self._set_fault(fault)
        return clock

    def take_history_delay_s(self) -> float:
        """Return the seconds by which the history entry of the prompt that just ended is delayed, and reset them."""
        delay_s, self._history_delay_s = self._history_delay_s, 0.0
        return delay_s

    def take_error(self) -> bool:
        """Return whether this request must get a 500 response. If so, one fewer is due."""
        with self._lock:
            if self._errors_due == 0:
                return False
            self._errors_due -= 1
            return True

    def _set_fault(self, fault: EngineFault) -> None:
        """Apply a fault whose effect goes beyond the node. Raises NodeError for a broken GPU."""
        match fault.kind:
            case FaultKind.CUDA:
                self.gpu_is_broken = True
                raise NodeError(CUDA, "torch.AcceleratorError")
            case FaultKind.THREAD:
                self.prompt_thread_ends = True
            case FaultKind.DROP:
                self._hub.abort_all()
            case FaultKind.DEAF:
                self._hub.forget_all()
            case FaultKind.LATE:
                self._history_delay_s = fault["seconds"]
            case FaultKind.ERRORS:
                with self._lock:
                    self._errors_due = int(fault["count"])

    def _count_chance(self, fault: EngineFault) -> bool:
        """Count one opportunity of a fault, and return whether the fault is due this time.

        The first `after` opportunities pass without it. Then it is due `times` times, or always if `times` is 0.
        The count is written before the fault happens, because the fault may end the process. Faults with the same
        text share one count.
        """
        counts = orjson.loads(self._counts_file.read_bytes()) if self._counts_file.exists() else {}
        count = counts.get(fault.spec, 0)
        self._counts_file.parent.mkdir(parents=True, exist_ok=True)
        self._counts_file.write_bytes(orjson.dumps({**counts, fault.spec: count + 1}))
        if count < fault["after"]:
            return False
        is_unlimited = fault["times"] == 0
        return is_unlimited or count < fault["after"] + fault["times"]


def _prompt_faults(call: NodeCall) -> list[EngineFault]:
    """Return the faults of this prompt, which the route copied from the request's header into `extra_data`."""
    spec = call.context.extra_data.get(FAULT_KEY)
    return parse_faults(spec) if isinstance(spec, str) else []


def with_faults(registry: NodeRegistry, fault_injector: FaultInjector) -> NodeRegistry:
    """Return the registry with every node function wrapped, and with the node `EmbeddedFault`."""
    nodes = {name: fault_injector.wrap(node) for name, node in registry.nodes.items()}
    return replace(
        registry,
        nodes={**nodes, "EmbeddedFault": fault_injector.wrap(fault_injector.embedded_fault)},
        fallback=lambda node_class: fault_injector.wrap(registry.fallback(node_class)),
    )
