"""The MCP server: it connects the SDK's requests with the tools, for each caller."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import anyio
from mcp import MCPError, types
from mcp.server import Server, ServerRequestContext
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser

from worker import __version__
from worker.cli.client.worker_client import CLIENT_TIMEOUT
from worker.errors import Failure
from worker.mcp_server.api_source import StartingApi
from worker.mcp_server.arguments import read_arguments
from worker.mcp_server.caller_api import CallerApi
from worker.mcp_server.failure_text import failure_text
from worker.mcp_server.input_values import OUTPUT_URI
from worker.mcp_server.job_memory import JobMemory
from worker.mcp_server.output_content import ContentBuilder
from worker.mcp_server.tools import TOOLS, ToolCall

LOCAL = "local"
DISCONNECTED = "comfy_worker.disconnected"
"""Key in the ASGI scope of a request: an event that is set when its client has disconnected."""

STOP_LIMIT_S = 6.0
"""A little more than `CANCEL_LIMIT_S`, the limit for each job."""

MOST_RESOURCE_BYTES = 48 * 1024**2
URI_TEMPLATE = "comfy://jobs/{job_id}/outputs/{index}"
INSTRUCTIONS = (
    "Generates images, video and audio with ComfyUI. Call list_templates, then describe_template for the one that "
    "fits, then generate. Show the user the images of the result. An error names the argument that is wrong and a "
    "valid value: correct it and call again."
)


@dataclass(frozen=True, slots=True)
class McpCaller:
    """The client of a request. `name` tells callers apart, and `token` is sent to the API."""

    name: str
    token: str | None


class RunningCalls:
    """Counts calls. `none_left` is set while none runs."""

    def __init__(self) -> None:
        self._count = 0
        self.none_left = asyncio.Event()
        self.none_left.set()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count a call for as long as the context is open."""
        self._count += 1
        self.none_left.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self.none_left.set()


@dataclass(slots=True)
class ToolServer:
    """Serves the tools on an API. `token` is for callers without their own, as over stdio.

    `out` and `files` are folders of this machine for outputs and inputs, as in `ToolCall`.
    """

    api: StartingApi
    http: aiohttp.ClientSession
    token: str | None = None
    out: Path | None = None
    files: Path | None = None
    memory: JobMemory = field(default_factory=JobMemory)
    content: ContentBuilder = field(default_factory=ContentBuilder)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _running_calls: RunningCalls = field(default_factory=RunningCalls)

    def sdk_server(self) -> Server[Any]:
        """Return the SDK's server with this server's handlers."""
        return Server(
            "comfy-worker",
            title="ComfyUI",
            version=__version__,
            instructions=INSTRUCTIONS,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_resource_templates,
            on_read_resource=self.read_resource,
        )

    async def list_tools(
        self, context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """Handle `tools/list`."""
        return types.ListToolsResult(tools=[entry.as_mcp(name) for name, entry in TOOLS.items()])

    async def call_tool(
        self, context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Handle `tools/call`. A failure is a result with `is_error`, so that the language model reads it.

        A call ends early when its client disconnects from HTTP, and when the server stops.
        """
        if params.name not in TOOLS:
            raise MCPError(types.INVALID_PARAMS, f"there is no tool {params.name!r}. Tools: {', '.join(TOOLS)}")
        scope = context.request.scope if context.request is not None else {}
        ends: list[asyncio.Event] = [self.stopping, *filter(None, [scope.get(DISCONNECTED)])]
        # A client that has disconnected does not read this.
        result = _error(Failure("cancelled", "the call has ended early, because the server stops"))
        with self._running_calls.counted():
            async with anyio.create_task_group() as group:
                for event in ends:
                    group.start_soon(_cancel_after, event, group.cancel_scope)
                result = await self._result(context, params)
                group.cancel_scope.cancel()
        return result

    async def stop(self) -> None:
        """End all calls, which cancels their jobs, and wait for that at most `STOP_LIMIT_S`."""
        self.stopping.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_LIMIT_S):
                await self._running_calls.none_left.wait()

    async def _result(
        self, context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Return the result of a call, or its failure."""
        entry = TOOLS[params.name]
        try:
            arguments = read_arguments(entry.arguments, params.arguments)
            caller = self.caller(context)
            if not self.api.settled:
                await context.session.report_progress(0.0, 1.0, "starting a worker")
            call = ToolCall(
                caller.name,
                await self.api_of(caller),
                self.memory,
                self.content,
                context.session.report_progress,
                self.out,
                self.files,
            )
            return (await entry.run(call, arguments)).as_mcp()
        except Failure as failure:
            return _error(failure)

    async def list_resources(
        self, context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """Handle `resources/list`. Outputs are not listed: the results of the tools name them."""
        return types.ListResourcesResult(resources=[])

    async def list_resource_templates(
        self, context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListResourceTemplatesResult:
        """Handle `resources/templates/list`."""
        output = types.ResourceTemplate(
            name="output",
            title="Output of a job",
            uri_template=URI_TEMPLATE,
            description="The complete file or text of one output. `index` is its index in the result of the job.",
        )
        return types.ListResourceTemplatesResult(resource_templates=[output])

    async def read_resource(
        self, context: ServerRequestContext[Any], params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        """Handle `resources/read` for an output of a job of the caller."""
        match = OUTPUT_URI.fullmatch(params.uri)
        if match is None:
            raise MCPError(types.INVALID_PARAMS, f"there is no resource {params.uri[:200]!r}. URIs: {URI_TEMPLATE}")
        try:
            caller = self.caller(context)
            job = self.memory.find(caller.name, match["job"])
            mime, content = await (await self.api_of(caller)).output(job, int(match["index"]), MOST_RESOURCE_BYTES)
        except Failure as failure:
            raise MCPError(types.INVALID_PARAMS, failure_text(failure)) from failure
        return types.ReadResourceResult(contents=[_contents(params.uri, mime, content)])

    def caller(self, context: ServerRequestContext[Any]) -> McpCaller:
        """Return the caller of a request: the one that HTTP authenticated, or else the user of this machine."""
        user = context.request.scope.get("user") if context.request is not None else None
        if isinstance(user, AuthenticatedUser):
            return McpCaller(user.access_token.client_id, user.access_token.token)
        return McpCaller(LOCAL, self.token)

    async def api_of(self, caller: McpCaller) -> CallerApi:
        """Return the API for a caller, once it accepts requests. Raises Failure when it could not start."""
        return CallerApi(self.http, await self.api.url(), caller.token)


def http_session() -> aiohttp.ClientSession:
    """Return a session for the API. Its connections are not limited: each call that waits holds one."""
    return aiohttp.ClientSession(
        timeout=CLIENT_TIMEOUT, connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
    )


async def _cancel_after(event: asyncio.Event, scope: anyio.CancelScope) -> None:
    await event.wait()
    scope.cancel()


def caller_name(token: str) -> str:
    """Return the name of the caller with this token. The token cannot be read from it."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _error(failure: Failure) -> types.CallToolResult:
    """Return a failure as a result that the language model reads."""
    return types.CallToolResult(content=[types.TextContent(text=failure_text(failure))], is_error=True)


def _contents(uri: str, mime: str, content: bytes) -> types.TextResourceContents | types.BlobResourceContents:
    """Return a text as text, and any other file as base64."""
    if mime.startswith("text/") or mime == "application/json":
        return types.TextResourceContents(uri=uri, mime_type=mime, text=content.decode("utf-8", "replace"))
    return types.BlobResourceContents(uri=uri, mime_type=mime, blob=base64.b64encode(content).decode())
