"""Does what faults say, at the nodes they name; keeps count on disk, because some of them end the process."""

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
"""In `extra_data`: faults of one prompt alone."""
OOM = "Allocation on device 0 would exceed allowed memory. (asked for)"
CUDA = "CUDA error: an illegal memory access was encountered (asked for)"


class SlowClock:
    """The same clock for a node that works more slowly."""

    def __init__(self, clock: Clock, factor: float) -> None:
        self._clock = clock
        self._factor = factor

    def sleep(self, seconds: float) -> None:
        self._clock.sleep(seconds)

    def work(self, seconds: float) -> None:
        self._clock.work(seconds * self._factor)


class FaultInjector:
    """The faults that an engine was started with, and those that a workflow (`EmbeddedFault`) or a header asks for."""

    def __init__(self, faults: Sequence[EngineFault], counts: Path, hub: Hub) -> None:
        self._faults = faults
        self._counts = counts
        self._hub = hub
        self._lock = threading.Lock()
        self._errors = 0
        self._late_s = 0.0
        self.gpu_is_broken = False
        self.prompt_thread_ends = False

    def wrap(self, node: NodeFunction) -> NodeFunction:
        """The node, after what is due before it."""

        def upset_node(call: NodeCall) -> NodeResult:
            if self.gpu_is_broken:
                raise NodeError(CUDA, "torch.AcceleratorError")
            clock = call.context.clock
            for fault in (*self._faults, *_asked(call)):
                if fault.fits(call.node_id, call.node_class.name):
                    clock = self._happen(fault, clock)
            return node(
                call if clock is call.context.clock else replace(call, context=replace(call.context, clock=clock))
            )

        return upset_node

    def embedded_fault(self, call: NodeCall) -> NodeResult:
        """The node EmbeddedFault: hands its picture on, after the faults of its input `fault`."""
        try:
            faults = parse_faults(call.text("fault"))
        except InvalidFault as error:
            raise NodeError(str(error), "ValueError") from error
        for fault in faults:
            self._happen(fault, call.context.clock)
        return NodeResult((call.images("image"),))

    def _happen(self, fault: EngineFault, clock: Clock) -> Clock:
        """Let a fault happen, if it is still due."""
        if not self._due(fault):
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
                self._disturb(fault)
        return clock

    def take_history_delay_s(self) -> float:
        """How late the history of the prompt that has just ended comes."""
        late_s, self._late_s = self._late_s, 0.0
        return late_s

    def take_error(self) -> bool:
        """Whether the next request is answered 500."""
        with self._lock:
            is_error = self._errors > 0
            self._errors -= is_error
            return is_error

    def _disturb(self, fault: EngineFault) -> None:
        """Faults that let the node itself run."""
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
                self._late_s = fault["seconds"]
            case FaultKind.ERRORS:
                with self._lock:
                    self._errors = int(fault["count"])

    def _due(self, fault: EngineFault) -> bool:
        """Count a chance, on disk before it is used. Faults of one text share their count."""
        counts = orjson.loads(self._counts.read_bytes()) if self._counts.exists() else {}
        count = counts.get(fault.spec, 0)
        self._counts.parent.mkdir(parents=True, exist_ok=True)
        self._counts.write_bytes(orjson.dumps({**counts, fault.spec: count + 1}))
        return fault["after"] <= count and (not fault["times"] or count < fault["after"] + fault["times"])


def _asked(call: NodeCall) -> list[EngineFault]:
    """By the header of this prompt's submission, which was read then."""
    spec = call.context.extra_data.get(FAULT_KEY)
    return parse_faults(spec) if isinstance(spec, str) else []


def with_faults(registry: NodeRegistry, fault_injector: FaultInjector) -> NodeRegistry:
    """All nodes, with faults before them."""
    nodes = {name: fault_injector.wrap(node) for name, node in registry.nodes.items()}
    return replace(
        registry,
        nodes={**nodes, "EmbeddedFault": fault_injector.wrap(fault_injector.embedded_fault)},
        fallback=lambda node_class: fault_injector.wrap(registry.fallback(node_class)),
    )
