"""RPCs of callers: start a call, wait for its outputs, cancel it, and read the values of a generator."""

from __future__ import annotations

from collections.abc import AsyncIterator

from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2

from worker.simulators.modal.deployment_rpcs import DeploymentRpcs
from worker.simulators.modal.records import FunctionCallRecord, QueuedInput
from worker.simulators.modal.rpc_service import not_found

TERMINATED = api_pb2.GenericResult.GENERIC_STATUS_TERMINATED
STREAM_S = 55.0
"""Seconds after which a stream of data ends, and the client asks again."""


class ClientRpcs(DeploymentRpcs):
    """Everything that a client outside a container calls."""

    async def function_map(self, request: api_pb2.FunctionMapRequest) -> api_pb2.FunctionMapResponse:
        """Start a call, with the inputs that come along."""
        function = self.state.functions.get(request.function_id)
        if function is None or function.definition is None:
            raise not_found(f"no function {request.function_id!r}")
        call = self.state.new_call(function, request.function_call_invocation_type)
        return api_pb2.FunctionMapResponse(
            function_call_id=call.id,
            pipelined_inputs=[self._enqueue(call, item) for item in request.pipelined_inputs],
            retry_policy=function.current.retry_policy,
            function_call_jwt=call.id,
            sync_client_retries_enabled=self.parts.assumptions.sync_client_retries,
        )

    async def function_put_inputs(self, request: api_pb2.FunctionPutInputsRequest) -> api_pb2.FunctionPutInputsResponse:
        """Add inputs to a call."""
        call = self._call(request.function_call_id)
        return api_pb2.FunctionPutInputsResponse(inputs=[self._enqueue(call, item) for item in request.inputs])

    async def function_finish_inputs(self, _: api_pb2.FunctionFinishInputsRequest) -> Empty:
        """Accept that a call gets no more inputs."""
        return Empty()

    async def function_retry_inputs(
        self, request: api_pb2.FunctionRetryInputsRequest
    ) -> api_pb2.FunctionRetryInputsResponse:
        """Run failed inputs again. The id of an input is its token here."""
        for item in request.inputs:
            entry = self.state.inputs[item.input_jwt]
            entry.retry_count += 1
            self.state.requeue(entry)
        return api_pb2.FunctionRetryInputsResponse(input_jwts=[item.input_jwt for item in request.inputs])

    async def function_get_outputs(
        self, request: api_pb2.FunctionGetOutputsRequest
    ) -> api_pb2.FunctionGetOutputsResponse:
        """Wait until a call has outputs that the client has not seen, and return them."""
        call = self._call(request.function_call_id)
        seen = int(request.last_entry_id.partition("-")[0] or 0)
        first = request.start_idx if request.HasField("start_idx") else seen
        last = request.end_idx if request.HasField("end_idx") else len(call.inputs) + seen

        def ready() -> list[QueuedInput]:
            return [entry for entry in call.inputs if entry.output and first <= entry.index <= last]

        entries = await self.state.changes.until(ready, request.timeout)
        return api_pb2.FunctionGetOutputsResponse(
            outputs=[entry.output for entry in entries if entry.output],
            idxs=[entry.index for entry in entries],
            last_entry_id=f"{max((entry.index + 1 for entry in entries), default=seen)}-0",
            num_unfinished_inputs=sum(entry.output is None for entry in call.inputs),
        )

    async def function_call_from_id(
        self, request: api_pb2.FunctionCallFromIdRequest
    ) -> api_pb2.FunctionCallFromIdResponse:
        """Return a call by its id."""
        call = self._call(request.function_call_id)
        return api_pb2.FunctionCallFromIdResponse(function_call_id=call.id, num_inputs=len(call.inputs))

    async def function_call_cancel(self, request: api_pb2.FunctionCallCancelRequest) -> Empty:
        """Cancel the inputs of a call: those that wait at once, those that run by the heartbeat of their container."""
        for entry in self._call(request.function_call_id).inputs:
            entry.canceled = True
            if entry.output is None and not entry.task_id:
                self.state.finish(entry, terminated(entry))
        self.state.changes.notify()
        return Empty()

    async def function_get_current_stats(
        self, request: api_pb2.FunctionGetCurrentStatsRequest
    ) -> api_pb2.FunctionStats:
        """Return the numbers of inputs that wait and run, and of the containers that run some."""
        function = self.state.functions.get(request.function_id)
        if function is None:
            raise not_found(f"no function {request.function_id!r}")
        running = [entry for entry in self.state.inputs.values() if entry.task_id and entry.call.function is function]
        return api_pb2.FunctionStats(
            backlog=len(function.pending),
            num_total_tasks=len({entry.task_id for entry in running}),
            num_running_inputs=len(running),
        )

    async def function_call_get_data_out(
        self, request: api_pb2.FunctionCallGetDataRequest
    ) -> AsyncIterator[api_pb2.DataChunk]:
        """Stream the values of a generator."""
        call = self._call(request.function_call_id)
        async for chunk in self._chunks(call, call.data_out, request.last_index):
            yield chunk

    async def _chunks(
        self, call: FunctionCallRecord, chunks: list[api_pb2.DataChunk], last_index: int
    ) -> AsyncIterator[api_pb2.DataChunk]:
        """Yield the chunks after an index until the call has ended, or until the client has to ask again."""
        while chunk := await self.state.chunk_at(call, chunks, last_index, STREAM_S):
            yield chunk
            last_index += 1

    def _enqueue(
        self, call: FunctionCallRecord, item: api_pb2.FunctionPutInputsItem
    ) -> api_pb2.FunctionPutInputsResponseItem:
        """Add an input to a call."""
        entry = self.state.enqueue(call, item.input)
        return api_pb2.FunctionPutInputsResponseItem(idx=item.idx, input_id=entry.id, input_jwt=entry.id)

    def _call(self, call_id: str) -> FunctionCallRecord:
        """Return a call. Raises GRPCError when it does not exist."""
        call = self.state.calls.get(call_id)
        if call is None:
            raise not_found(f"no function call {call_id!r}")
        return call


def terminated(entry: QueuedInput) -> api_pb2.FunctionGetOutputsItem:
    """Return the output of a canceled input."""
    result = api_pb2.GenericResult(status=TERMINATED, exception="the input was canceled")
    return api_pb2.FunctionGetOutputsItem(result=result, idx=entry.index, input_id=entry.id)
