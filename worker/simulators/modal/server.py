"""The simulated control plane with its HTTP edge, its blobs and its containers, on loopback."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from aiohttp import web
from grpclib.server import Server

from worker.errors import CannotListen
from worker.simulators.modal.assumptions import ModalAssumptions
from worker.simulators.modal.call_rpcs import ClientRpcs
from worker.simulators.modal.container import ContainerOptions
from worker.simulators.modal.pool import ContainerPool
from worker.simulators.modal.records import AppRecord, ControlPlaneState, StoredSecret
from worker.simulators.modal.rpc_service import ControlPlaneParts
from worker.simulators.modal.web_edge import WebEdge
from worker.supervision import Tasks

LOOPBACK = "127.0.0.1"
MAX_BLOB = 2**30


class LocalModal:
    """A workspace of Modal on this machine, with one environment."""

    def __init__(self, options: ContainerOptions, assumptions: ModalAssumptions, tasks: Tasks) -> None:
        self.state = ControlPlaneState()
        self.assumptions = assumptions
        self.url = ""
        self._blob_url = ""
        self._edge = WebEdge(self.state, assumptions)
        self.pool = ContainerPool(self._parts, options, tasks)
        self._tasks = tasks

    @property
    def client_environ(self) -> dict[str, str]:
        """The variables with which Modal's clients use this workspace, and nothing else."""
        return {
            "MODAL_SERVER_URL": self.url,
            "MODAL_TOKEN_ID": "ak-local",
            "MODAL_TOKEN_SECRET": "as-local",
            "MODAL_CONFIG_PATH": "/nonexistent/modal.toml",
        }

    def add_secret(self, name: str, variables: Mapping[str, str]) -> None:
        """Store a secret that apps can refer to by its name."""
        self.state.secrets[self.state.new_id("st")] = StoredSecret(name, dict(variables))

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        """Serve while the context lasts. Raises CannotListen."""
        async with AsyncExitStack() as stack:
            runner = web.AppRunner(self._blob_app(), access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, LOOPBACK, 0).start()
            self._blob_url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
            stack.push_async_callback(self._edge.close)
            server = Server([ClientRpcs(self._parts())])
            listener = _listener(port)
            await server.start(sock=listener)
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
            self.url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
            self._tasks.start("containers", self.pool.run)
            yield

    def _parts(self) -> ControlPlaneParts:
        """Return what the services share."""
        return ControlPlaneParts(self.state, self.assumptions, self._blob_url, self._edge.url, self._published)

    def _published(self, app: AppRecord) -> None:
        """Replace the containers of older versions of an app."""
        self.pool.replace_outdated(app)

    def _blob_app(self) -> web.Application:
        """Return the routes for blobs."""
        app = web.Application(client_max_size=MAX_BLOB)
        app.add_routes([web.put("/{id}", partial(_put_blob, self.state)), web.get("/{id}", partial(_blob, self.state))])
        return app


@asynccontextmanager
async def serve(
    options: ContainerOptions, port: int = 0, assumptions: ModalAssumptions | None = None
) -> AsyncIterator[LocalModal]:
    """Serve one workspace on one loopback port. Port 0 picks a free port. Raises CannotListen.

    All containers are killed at the end.
    """
    async with Tasks() as tasks:
        modal = LocalModal(options, assumptions or ModalAssumptions(), tasks)
        async with modal.listening(port):
            yield modal


def _listener(port: int) -> socket.socket:
    """Return a listening socket on loopback. Raises CannotListen."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise CannotListen(LOOPBACK, port, error) from error
    return listener


async def _put_blob(state: ControlPlaneState, request: web.Request) -> web.Response:
    """Store a blob. Clients compare the ETag with its MD5."""
    data = await request.read()
    state.blobs[request.match_info["id"]] = data
    return web.Response(headers={"ETag": f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'})


async def _blob(state: ControlPlaneState, request: web.Request) -> web.Response:
    """Return a blob."""
    data = state.blobs.get(request.match_info["id"])
    return web.Response(status=404) if data is None else web.Response(body=data)
