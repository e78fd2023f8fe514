"""The containers of each function: how many there should be, and when they start and end."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from modal_proto import api_pb2

from worker.backoff import Backoff
from worker.simulators.modal.container import ContainerOptions, ContainerProcess, run_container
from worker.simulators.modal.container_rpcs import ContainerPhase, ContainerRecord
from worker.simulators.modal.records import AppRecord, FunctionRecord
from worker.simulators.modal.rpc_service import ControlPlaneParts
from worker.supervision import Tasks

log = logging.getLogger(__name__)

CHECK_S = 0.5
"""Seconds after which the pool looks for idle containers, if nothing else changes."""


@dataclass(frozen=True, slots=True)
class PoolDemand:
    """What a function needs: open inputs, waiting or running, and its limits."""

    inputs: int
    target_inputs: int
    min_containers: int = 0
    max_containers: int = 0
    buffer_containers: int = 0

    @property
    def containers(self) -> int:
        """The number of containers that there should be."""
        wanted = math.ceil(self.inputs / max(1, self.target_inputs))
        if self.inputs:
            wanted += self.buffer_containers
        wanted = max(wanted, self.min_containers)
        return min(wanted, self.max_containers) if self.max_containers else wanted

    @classmethod
    def of(cls, definition: api_pb2.Function, inputs: int) -> PoolDemand:
        """Return the demand of a function with this number of open inputs."""
        scaling = definition.autoscaler_settings
        return cls(
            inputs=inputs,
            target_inputs=definition.target_concurrent_inputs or definition.max_concurrent_inputs or 1,
            min_containers=scaling.min_containers,
            max_containers=scaling.max_containers,
            buffer_containers=scaling.buffer_containers,
        )


class ContainerPool:
    """Starts containers for waiting inputs, and stops idle, outdated and preempted ones."""

    def __init__(self, parts: Callable[[], ControlPlaneParts], options: ContainerOptions, tasks: Tasks) -> None:
        self._parts = parts
        self._options = options
        self._tasks = tasks
        self._failures: dict[str, int] = {}
        self._start_after: dict[str, float] = {}
        self.containers: dict[str, ContainerProcess | None] = {}
        """Processes by task id; None before the process has started."""
        self.records: dict[str, ContainerRecord] = {}

    def containers_of(self, function: FunctionRecord) -> list[ContainerRecord]:
        """Return the containers of a function that have not ended."""
        return [record for record in self.records.values() if record.function is function]

    async def run(self) -> None:
        """Compare the containers with the demand, again and again."""
        state = self._parts().state
        while True:
            for function in [entry for entry in state.functions.values() if entry.definition]:
                self._scale(function)
            event_seen = len(state.inputs)
            await state.changes.until(lambda seen=event_seen: len(state.inputs) != seen, CHECK_S)  # type: ignore[misc]

    def replace_outdated(self, app: AppRecord) -> None:
        """Let the containers of older versions of an app end after their inputs."""
        for record in self.records.values():
            if record.function.app is app and record.version < app.version:
                self.drain(record)

    def drain(self, record: ContainerRecord) -> None:
        """Give a container no more inputs. It exits after the running ones."""
        if record.phase is not ContainerPhase.ENDED:
            record.phase = ContainerPhase.DRAINING
            self._parts().state.changes.notify()

    async def preempt(self, task_id: str) -> None:
        """Take a container away, as Modal does: a signal, a pause, and SIGKILL."""
        assumptions = self._parts().assumptions
        self.records[task_id].phase = ContainerPhase.DRAINING
        process = self.containers[task_id]
        if process:
            await process.stop(assumptions.stop_signal, assumptions.stop_grace_s)

    def _scale(self, function: FunctionRecord) -> None:
        """Start the containers that a function lacks, and drain one that has been idle for too long."""
        live = [record for record in self.containers_of(function) if record.phase is not ContainerPhase.DRAINING]
        running = sum(len(record.running) for record in live)
        wanted = PoolDemand.of(function.current, len(function.pending) + running).containers
        if len(live) < wanted and time.monotonic() >= self._start_after.get(function.id, 0.0):
            self._start(function)
        window = function.current.autoscaler_settings.scaledown_window or self._parts().assumptions.scaledown_s
        for record in live:
            idle = record.phase is ContainerPhase.SERVING and not record.running
            if idle and len(live) > wanted and time.monotonic() - record.idle_since > window:
                self.drain(record)
                return

    def _start(self, function: FunctionRecord) -> None:
        """Start a container."""
        task_id = self._parts().state.new_id("ta")
        record = ContainerRecord(task_id, function, function.current, function.app.version)
        self.records[task_id], self.containers[task_id] = record, None
        self._tasks.spawn(f"container {task_id}", self._run_one(record))

    async def _run_one(self, record: ContainerRecord) -> None:
        """Run a container to its end, and put the inputs back that it has not finished."""
        parts = self._parts()
        await asyncio.sleep(parts.assumptions.cold_start_s)
        try:
            async with run_container(parts, record, self._options) as process:
                self.containers[record.task_id] = process
                await process.process.wait()
        finally:
            self._note_end(record)
            del self.records[record.task_id]
            served, record.phase = record.phase is not ContainerPhase.STARTING, ContainerPhase.ENDED
            for entry in record.running.values():
                if not entry.canceled and parts.assumptions.preempted_input_is_requeued:
                    parts.state.requeue(entry)
            parts.state.changes.notify()
        log.info("container %s has ended%s", record.task_id, "" if served else " before it was ready")

    def _note_end(self, record: ContainerRecord) -> None:
        """Delay the next start of a function whose container ended before it was ready."""
        function_id = record.function.id
        if record.phase is not ContainerPhase.STARTING:
            self._failures.pop(function_id, None)
            return
        assumptions = self._parts().assumptions
        self._failures[function_id] = failures = self._failures.get(function_id, 0) + 1
        backoff = Backoff(assumptions.crash_pause_s, assumptions.crash_longest_pause_s)
        self._start_after[function_id] = time.monotonic() + backoff.pause(failures)
