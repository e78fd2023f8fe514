"""The HTTP edge: one port for each web function, whose requests become inputs of the function."""

from __future__ import annotations

import asyncio
import pickle
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from aiohttp import web
from modal_proto import api_pb2

from worker.simulators.modal.assumptions import ModalAssumptions
from worker.simulators.modal.records import ControlPlaneState, FunctionCallRecord

CALL_ID = "__modal_function_call_id"
MAX_BODY = 4 * 2**30
ASGI = api_pb2.DATA_FORMAT_ASGI


@dataclass(frozen=True, slots=True)
class WebFunction:
    """A web function: the id of its function, and the method if it belongs to a class."""

    function_id: str
    method: str


class WebEdge:
    """Serves web functions on loopback. The call of a request that has no response in time can be fetched later."""

    def __init__(self, state: ControlPlaneState, assumptions: ModalAssumptions) -> None:
        self._state = state
        self._assumptions = assumptions
        self._urls: dict[str, str] = {}
        self._functions: dict[str, WebFunction] = {}
        self._runners: list[web.AppRunner] = []

    async def url(self, label: str, function_id: str, method: str) -> str:
        """Return the URL of a web function. Its port is opened at the first call."""
        self._functions[label] = WebFunction(function_id, method)
        if label not in self._urls:
            app = web.Application(client_max_size=MAX_BODY)
            app.router.add_route("*", "/{path:.*}", partial(self._handle, label))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, auto_decompress=False)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._runners.append(runner)
            self._urls[label] = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return self._urls[label]

    async def close(self) -> None:
        """Close all ports."""
        for runner in self._runners:
            await runner.cleanup()

    async def _handle(self, label: str, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        target = self._functions[label]
        function = self._state.functions[target.function_id]
        if function.definition is None:
            return web.Response(status=404, text="modal-http: app for invoked web endpoint is stopped")
        methods = function.definition.method_definitions
        config = methods[target.method].webhook_config if target.method else function.definition.webhook_config
        if config.requires_proxy_auth and self._assumptions.proxy_auth and not _has_proxy_token(request):
            return web.Response(status=401, text="modal-http: missing credentials for proxy authorization")
        if call_id := request.query.get(CALL_ID):
            if request.method != "GET":
                return web.Response(status=400, text="modal-http: bad redirect method")
            call = self._state.calls.get(call_id)
            if call is None:
                return web.Response(status=404, text="modal-http: function call not found")
            return await self._respond(request, call)
        call = self._state.new_call(function, api_pb2.FUNCTION_CALL_INVOCATION_TYPE_SYNC)
        payload = api_pb2.FunctionInput(
            args=pickle.dumps(((_scope(request),), {})),
            data_format=api_pb2.DATA_FORMAT_PICKLE,
            method_name=target.method,
        )
        self._state.enqueue(call, payload)
        upload = asyncio.create_task(self._send_body(request, call))
        try:
            return await self._respond(request, call)
        except (asyncio.CancelledError, ConnectionResetError):
            if self._assumptions.edge_reports_disconnect:
                self._send(call, api_pb2.Asgi(http_disconnect=api_pb2.Asgi.HttpDisconnect()))
            raise
        finally:
            upload.cancel()

    async def _send_body(self, request: web.Request, call: FunctionCallRecord) -> None:
        """Send the body of a request to the container, as it arrives."""
        with suppress(ConnectionResetError):
            async for data, _ in request.content.iter_chunks():
                body = api_pb2.Asgi.HttpRequest(body=data, more_body=True)
                self._send(call, api_pb2.Asgi(http_request=body))
            self._send(call, api_pb2.Asgi(http_request=api_pb2.Asgi.HttpRequest(more_body=False)))

    def _send(self, call: FunctionCallRecord, message: api_pb2.Asgi) -> None:
        """Append a message to the data that the container reads."""
        call.send(api_pb2.DataChunk(data_format=ASGI, data=message.SerializeToString()))
        self._state.changes.notify()

    async def _respond(self, request: web.Request, call: FunctionCallRecord) -> web.StreamResponse:
        """Send the response of a call, or a redirect to itself when it does not begin in time."""
        begun = await self._state.changes.until(lambda: call.data_out or call.ended, self._assumptions.http_limit_s)
        if not begun:
            location = request.url.update_query({CALL_ID: call.id})
            return web.Response(status=303, headers={"Location": str(location)})
        if not call.data_out:
            return web.Response(status=500, text="modal-http: internal error")
        start = api_pb2.Asgi.FromString(call.data_out[0].data).http_response_start
        headers = list(zip(start.headers[::2], start.headers[1::2], strict=True))
        response = web.StreamResponse(status=start.status)
        for name, value in headers:
            if name.lower() not in (b"transfer-encoding", b"connection"):
                response.headers.add(name.decode("latin-1"), value.decode("latin-1"))
        await response.prepare(request)
        position = 1
        while chunk := await self._state.chunk_at(call, call.data_out, position, None):
            data = self._state.blobs.get(chunk.data_blob_id, b"") if chunk.data_blob_id else chunk.data
            body = api_pb2.Asgi.FromString(data).http_response_body
            if body.body:
                await response.write(body.body)
            position += 1
        await response.write_eof()
        return response


def _has_proxy_token(request: web.Request) -> bool:
    """Return whether a request has Modal's two headers. Every token is valid here."""
    return bool(request.headers.get("Modal-Key") and request.headers.get("Modal-Secret"))


def _scope(request: web.Request) -> dict[str, object]:
    """Return the ASGI scope of a request. Names of headers are in lower case."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": request.method,
        "scheme": "https",
        "path": request.path,
        "raw_path": request.rel_url.raw_path.encode(),
        "query_string": request.rel_url.raw_query_string.encode(),
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        "client": (request.remote or "127.0.0.1", 0),
        "server": ("modal", 443),
    }
