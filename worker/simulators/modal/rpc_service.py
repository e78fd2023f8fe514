"""A gRPC service of Modal's protocol from methods in snake case. Every other RPC is answered with UNIMPLEMENTED."""

from __future__ import annotations

import functools
import inspect
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from grpclib import GRPCError, Status
from grpclib.const import Handler
from grpclib.server import Stream
from modal_proto.api_grpc import ModalClientBase

from worker.simulators.modal.assumptions import ModalAssumptions
from worker.simulators.modal.records import AppRecord, ControlPlaneState

log = logging.getLogger(__name__)

ServedStream = Stream[Any, Any]
WebUrl = Callable[[str, str, str], Awaitable[str]]
"""Returns the URL of a web function, by its label, the id of its function and the name of its method."""


@dataclass(frozen=True, slots=True)
class ControlPlaneParts:
    """What all services share. `on_publish` is called with each published app.

    `blob_url` is the address at which clients upload and download blobs.
    """

    state: ControlPlaneState
    assumptions: ModalAssumptions
    blob_url: str
    web_url: WebUrl
    on_publish: Callable[[AppRecord], None]


async def _never(_: ModalClientBase, __: ServedStream) -> None:
    """Stand for an RPC in `PROTOCOL`, which is never called."""
    raise NotImplementedError


PROTOCOL: Mapping[str, Handler] = type(
    "Protocol", (ModalClientBase,), dict.fromkeys(ModalClientBase.__abstractmethods__, _never)
)().__mapping__()
"""The paths and types of all RPCs."""


class RpcService:
    """Serves its own methods as RPCs: `app_create(request)` is AppCreate.

    A method returns the response, or is an asynchronous generator of responses.
    """

    def __init__(self, parts: ControlPlaneParts) -> None:
        self.parts = parts
        self.state = parts.state

    def __mapping__(self) -> dict[str, Handler]:
        """Return the handler of each path, for grpclib's server."""
        return {path: handler._replace(func=self._handler(path)) for path, handler in PROTOCOL.items()}

    def _handler(self, path: str) -> Callable[[ServedStream], Awaitable[None]]:
        """Return the function that handles an RPC."""
        name = path.rpartition("/")[2]
        method = getattr(self, snake_case(name), None)
        if method is None:
            return functools.partial(self._refuse, name)
        return functools.partial(_stream if inspect.isasyncgenfunction(method) else _answer, method)

    async def _refuse(self, name: str, stream: ServedStream) -> None:
        """Answer an RPC that is not simulated."""
        await stream.recv_message()
        self.state.unimplemented.append(name)
        log.warning("the RPC %s is not simulated", name)
        raise GRPCError(Status.UNIMPLEMENTED, f"the local stand-in for Modal does not simulate {name}")


async def _answer(method: Callable[[Any], Awaitable[Any]], stream: ServedStream) -> None:
    """Answer an RPC with one response."""
    request = await stream.recv_message()
    await stream.send_message(await method(request))


async def _stream(method: Callable[[Any], Any], stream: ServedStream) -> None:
    """Answer an RPC with a stream of responses."""
    request = await stream.recv_message()
    async for response in method(request):
        await stream.send_message(response)


def snake_case(name: str) -> str:
    """Return the name of a method for an RPC: `app_get_layout` for AppGetLayout."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def not_found(message: str) -> GRPCError:
    """Return the error for an object that does not exist."""
    return GRPCError(Status.NOT_FOUND, message)
