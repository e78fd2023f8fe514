"""Starts the processes of handlers, each with a port at which it finds ComfyUI's API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from aiohttp import web

from worker.api.comfy.server import ComfyServer
from worker.api.services import Services
from worker.errors import CannotListen, Forbidden, HandlersPortInUse
from worker.handlers.comfy_compat import CALL_HEADER, HOST
from worker.handlers.pool import HandlerPool
from worker.handlers.senders import sender
from worker.intake import Caller
from worker.supervision import Tasks

NO_CALL = ""
"""Parent of a request that a process sends while it runs no call. No job has this id, so no prompt is accepted."""


@asynccontextmanager
async def running_handlers(services: Services, tasks: Tasks) -> AsyncIterator[None]:
    """Run the processes of the app in the settings while the context lasts. Raises HandlersPortInUse."""
    if services.handlers is None:
        yield
        return
    pool, first_port = services.handlers.pool, services.settings.handlers.port
    async with AsyncExitStack() as stack:
        ports = {}
        for number, name in enumerate(pool.names):
            server = ComfyServer(services, partial(caller_of_process, pool, name))
            port = first_port + number if first_port else 0
            try:
                ports[name] = await stack.enter_async_context(server.listening(HOST, port))
            except CannotListen as error:
                raise HandlersPortInUse(str(error)) from error
        pool.start(tasks, ports)
        yield


def caller_of_process(pool: HandlerPool, process: str, request: web.Request) -> Caller:
    """Return the caller of a request that a process has sent: the owner of the call that it runs.

    Raises Forbidden for a request of an earlier call, which a thread of a handler may have left behind, and for a
    request of another process, whose handler uses a fixed port.
    """
    _check_sender(pool, process, request)
    call, named_call = pool.running(process), request.headers.get(CALL_HEADER)
    if call is None:
        return Caller(process, parent=NO_CALL)
    if named_call and named_call != call.id:
        raise Forbidden(f"the call {named_call!r} has ended, and its process runs another one")
    return Caller(call.principal, parent=call.id)


def _check_sender(pool: HandlerPool, process: str, request: web.Request) -> None:
    """Raise Forbidden for a request that another process of handlers has sent. Its prompts would count for this one."""
    if len(pool.names) == 1 or request.transport is None:
        return
    own_end, other_end = (request.transport.get_extra_info(name) for name in ("sockname", "peername"))
    found = sender(own_end[1], other_end[1], pool.pids)
    if found not in (None, process):
        raise Forbidden(
            f"port {own_end[1]} is that of the process {process}, and {found} has port {pool.ports[found]}: let the "
            "handler take the parameter `port`, or set WORKER_HANDLERS_PROCESSES=1 for an app with a fixed port"
        )
