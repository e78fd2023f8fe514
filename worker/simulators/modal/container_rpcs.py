"""RPCs of one container: it fetches inputs, sends outputs, and learns about cancellations by its heartbeat."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2

from worker.simulators.modal.call_rpcs import TERMINATED, ClientRpcs
from worker.simulators.modal.records import FunctionRecord, QueuedInput
from worker.simulators.modal.rpc_service import ControlPlaneParts

IDLE_POLL_S = 10.0
"""Seconds after which a request for inputs is answered without one."""
FAILURE = api_pb2.GenericResult.GENERIC_STATUS_FAILURE


class ContainerPhase(Enum):
    """How far a container is. A draining one gets no more inputs."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"
    ENDED = "ended"


@dataclass(slots=True, eq=False)
class ContainerRecord:
    """A container of a function. `version` is the version of the app that it runs."""

    task_id: str
    function: FunctionRecord
    definition: api_pb2.Function
    version: int
    phase: ContainerPhase = ContainerPhase.STARTING
    running: dict[str, QueuedInput] = field(default_factory=dict)
    cancellations_sent: set[str] = field(default_factory=set)
    idle_since: float = field(default_factory=time.monotonic)

    def canceled(self) -> list[str]:
        """Return the ids of running inputs that were canceled, and of which the container does not know it yet."""
        return [key for key, entry in self.running.items() if entry.canceled and key not in self.cancellations_sent]


class ContainerRpcs(ClientRpcs):
    """Everything that the process of one container calls. It may call functions itself, like a client."""

    def __init__(self, parts: ControlPlaneParts, container: ContainerRecord) -> None:
        super().__init__(parts)
        self._container = container

    async def container_hello(self, _: Empty) -> Empty:
        """Accept the first call of a container."""
        return Empty()

    async def container_heartbeat(self, _: api_pb2.ContainerHeartbeatRequest) -> api_pb2.ContainerHeartbeatResponse:
        """Wait for cancellations of running inputs, and return them."""
        container = self._container
        input_ids = await self.state.changes.until(container.canceled, self.parts.assumptions.heartbeat_s)
        container.cancellations_sent.update(input_ids)
        event = api_pb2.CancelInputEvent(input_ids=input_ids) if input_ids else None
        return api_pb2.ContainerHeartbeatResponse(cancel_input_event=event)

    async def container_stop(self, _: api_pb2.ContainerStopRequest) -> api_pb2.ContainerStopResponse:
        """Give the container no more inputs: it has asked for its own end."""
        self._container.phase = ContainerPhase.DRAINING
        self.state.changes.notify()
        return api_pb2.ContainerStopResponse()

    async def task_result(self, request: api_pb2.TaskResultRequest) -> Empty:
        """Store the failure of a start."""
        self.state.task_results.append(request.result)
        self.state.changes.notify()
        return Empty()

    async def function_get_dynamic_concurrency(
        self, request: api_pb2.FunctionGetDynamicConcurrencyRequest
    ) -> api_pb2.FunctionGetDynamicConcurrencyResponse:
        """Allow the largest number of inputs while inputs wait, and the target otherwise."""
        waiting = bool(self._container.function.pending)
        concurrency = request.max_concurrency if waiting else request.target_concurrency
        return api_pb2.FunctionGetDynamicConcurrencyResponse(concurrency=concurrency)

    async def function_get_inputs(self, _: api_pb2.FunctionGetInputsRequest) -> api_pb2.FunctionGetInputsResponse:
        """Return one input, or after a while none. A draining container gets the request to end."""
        container = self._container
        if container.phase is ContainerPhase.STARTING:
            container.phase = ContainerPhase.SERVING
            self.state.changes.notify()
        pending = container.function.pending
        await self.state.changes.until(lambda: bool(pending) or container.phase is ContainerPhase.DRAINING, IDLE_POLL_S)
        if container.phase is not ContainerPhase.SERVING:
            return api_pb2.FunctionGetInputsResponse(inputs=[api_pb2.FunctionGetInputsItem(kill_switch=True)])
        if not pending:
            return api_pb2.FunctionGetInputsResponse()
        entry = pending.pop(0)
        entry.task_id = container.task_id
        container.running[entry.id] = entry
        item = api_pb2.FunctionGetInputsItem(
            input_id=entry.id,
            input=entry.payload,
            function_call_id=entry.call.id,
            function_call_invocation_type=entry.call.invocation_type,  # type: ignore[arg-type]
            retry_count=entry.retry_count,
        )
        return api_pb2.FunctionGetInputsResponse(inputs=[item])

    async def function_put_outputs(self, request: api_pb2.FunctionPutOutputsRequest) -> Empty:
        """Store outputs. The failed input of a spawned call runs again while its function allows retries."""
        for item in request.outputs:
            entry = self._container.running.get(item.input_id)
            # A container that is interrupted cancels its inputs. They run again elsewhere, once it has ended.
            if entry is None or (item.result.status == TERMINATED and not entry.canceled):
                continue
            del self._container.running[entry.id]
            if self._retries(entry, item.result):
                entry.retry_count += 1
                self.state.requeue(entry)
                continue
            output = api_pb2.FunctionGetOutputsItem(
                result=item.result,
                idx=entry.index,
                input_id=entry.id,
                data_format=item.data_format,
                task_id=self._container.task_id,
                input_started_at=item.input_started_at,
                output_created_at=item.output_created_at,
                retry_count=item.retry_count,
            )
            self.state.finish(entry, output)
        if not self._container.running:
            self._container.idle_since = time.monotonic()
        return Empty()

    async def function_call_get_data_in(
        self, request: api_pb2.FunctionCallGetDataRequest
    ) -> AsyncIterator[api_pb2.DataChunk]:
        """Stream what the edge sends to a web function."""
        call = self._call(request.function_call_id)
        async for chunk in self._chunks(call, call.data_in, request.last_index):
            yield chunk

    async def function_call_put_data_out(self, request: api_pb2.FunctionCallPutDataRequest) -> Empty:
        """Store the values of a generator, or the response of a web function."""
        call = self._call(request.function_call_id)
        call.data_out.extend(request.data_chunks)
        self.state.changes.notify()
        return Empty()

    def _retries(self, entry: QueuedInput, result: api_pb2.GenericResult) -> bool:
        """Return whether the server runs a failed input again. The client does so for calls that it waits for."""
        policy = self._container.definition.retry_policy
        spawned = entry.call.invocation_type == api_pb2.FUNCTION_CALL_INVOCATION_TYPE_ASYNC
        return result.status == FAILURE and spawned and not entry.canceled and entry.retry_count < policy.retries
