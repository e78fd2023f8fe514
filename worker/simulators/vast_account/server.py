"""The simulated API: one loopback port for the console and the autoscaler."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from aiohttp import web

from worker.errors import CannotListen
from worker.simulators.vast_account.account_workers import AccountWorkers
from worker.simulators.vast_account.call_log import CallLog
from worker.simulators.vast_account.endpoint_router import EndpointRouter
from worker.simulators.vast_account.fault_config import AccountFaultConfig, CallFault
from worker.simulators.vast_account.holdings import Holdings
from worker.simulators.vast_account.rate_limits import RateLimits
from worker.simulators.vast_account.refusal import CallRefused
from worker.simulators.vast_router import LocalVast

if TYPE_CHECKING:
    from vastai.serverless.client.client import Serverless

MAX_BODY = 4 * 2**20
ROUTER_PATHS = ("/root.pem", "/pubkey/", "/worker_status/", "/delete_requests/", "/route/")
"""Paths that are forwarded to the router, whose workers and clients have its own keys."""

Body = dict[str, Any]


class LocalAccount:
    """One account, empty at first: its contents in `holdings` and `workers`, and the calls so far in `record`."""

    def __init__(self, fault_config: AccountFaultConfig, vast: LocalVast | None = None) -> None:
        self.url = ""
        self.record = CallLog()
        self.holdings = Holdings()
        self.workers = AccountWorkers()
        self._fault_config = fault_config
        self._limits = RateLimits()
        self._calls = 0
        self._router = EndpointRouter(vast) if vast else None
        if vast:
            self.holdings.endpoint_keys[vast.endpoint] = vast.endpoint_key

    @property
    def api_key(self) -> str:
        return self.holdings.api_key

    def configure(self, fault_config: AccountFaultConfig) -> None:
        """Replace the switches from the next call on, which is number 1 of `faults` again."""
        self._fault_config, self._calls = fault_config, 0
        self._limits = RateLimits()

    def client(self) -> Serverless:
        """Return Vast's own client for this address. It needs a router. Use it as `async with`."""
        from vastai.serverless.client.client import Serverless

        client = Serverless(api_key=self.api_key, autoscaler_url=self.url, webserver_url=self.url)
        client.SSL_CERT_URL = f"{self.url}/root.pem"
        return client

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[None]:
        """Serve while the context lasts. Raises CannotListen."""
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except (OSError, OverflowError) as error:
                raise CannotListen(host, port, error) from error
            self.url = f"http://{host}:{runner.addresses[0][1]}"
            async with AsyncExitStack() as stack:
                if self._router:
                    await stack.enter_async_context(self._router)
                yield
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        """Handle one call, with its fault if it has one."""
        if self._router and request.path in ROUTER_PATHS:
            return await self._router.forward(request)
        text = await request.text()
        body: Body = json.loads(text) if text else {}
        self._calls += 1
        fault_config, fault = self._fault_config, self._fault_config.faults.get(self._calls)
        if not self._limits.allow(request.method, request.path, fault_config, time.monotonic()):
            fault = CallFault.LIMITED
        response = None
        if fault is None or fault.takes_effect:
            response = await self._effect(request, body)
        if fault is not None:
            response = await self._fail(request, fault, fault_config)
        self.record.add(request.method, request.path, body, response.status if response is not None else 0)
        return response if response is not None else web.Response()

    async def _fail(
        self, request: web.Request, fault: CallFault, fault_config: AccountFaultConfig
    ) -> web.Response | None:
        """Return the response of a fault, or None when the connection is closed without one."""
        if fault is CallFault.LIMITED:
            headers = {"Retry-After": f"{fault_config.interval_s:g}"} if fault_config.retry_after else {}
            text = f"API requests too frequent endpoint threshold={fault_config.interval_s}"
            return web.Response(status=429, text=text, headers=headers)
        statuses = {CallFault.ERROR_500: 500, CallFault.ERROR_502: 502, CallFault.ERROR_504: 504}
        if fault in statuses:
            return web.Response(status=statuses[fault], text="<html>upstream failure</html>", content_type="text/html")
        if fault is CallFault.LATE:
            await asyncio.sleep(fault_config.hang_s)
        if request.transport:
            request.transport.close()
        return None

    async def _effect(self, request: web.Request, body: Body) -> web.Response:
        """Check the API key, make the call and return its response."""
        keys = {request.headers.get("Authorization", "").removeprefix("Bearer "), request.query.get("api_key", "")}
        if self.api_key not in keys | {body.get("api_key")}:
            return web.json_response({"success": False, "error": "auth_error", "msg": "invalid user key"}, status=401)
        try:
            result = await self._call(request, body)
            self.workers.follow(self.holdings.groups, self.holdings.endpoints, time.monotonic())
        except CallRefused as error:
            content = {"success": False, "error": error.error, "msg": error.message}
            return web.json_response(content, status=error.status)
        return web.json_response(result)

    async def _call(self, request: web.Request, body: Body) -> object:
        """Make a call and return its result. The path names the kind of row that the call is about."""
        parts = [part for part in request.path.split("/") if part]
        number = int(parts[-1]) if parts and parts[-1].isdigit() else None
        kind = next((word for word in parts if word not in ("api", "v0", "v1")), "")
        calls: dict[str, Callable[[web.Request, Body, int | None], object]] = {
            "users": self._user,
            "secrets": self._secrets,
            "template": self._templates,
            "endptjobs": self._endpoints,
            "autojobs": self._groups,
            "instances": self._instances,
        }
        if kind in calls:
            return calls[kind](request, body, number)
        return await self._autoscaler(kind, body)

    def _user(self, *_: object) -> object:
        """Return the account's user."""
        return {"id": self.holdings.user_id, "api_key": self.api_key, "email": "someone@example.com"}

    def _secrets(self, request: web.Request, body: Body, _: int | None) -> object:
        """List, set or delete variables."""
        if request.method == "GET":
            return {"success": True, "secrets": dict.fromkeys(self.holdings.environment, "*****")}
        if request.method == "DELETE":
            return self.holdings.remove_variable(body)
        return self.holdings.set_variable(body, new=request.method == "POST", plain=self._fault_config.plain_values)

    def _templates(self, request: web.Request, body: Body, _: int | None) -> object:
        """List, create, change or delete templates."""
        templates = self.holdings.templates
        if request.method == "GET":
            filters = json.loads(request.query.get("select_filters") or "{}")
            rows = templates.listed(filters if self._fault_config.filters_heeded else {})
            return {"success": True, "templates_found": len(rows), "templates": rows}
        if request.method == "PUT" and not request.path.startswith("/api/v1/"):
            raise CallRefused(405, "not_simulated", "only PUT /api/v1/template/ is simulated")
        calls = {"POST": templates.create, "PUT": templates.change, "DELETE": templates.remove}
        return calls[request.method](body)

    def _endpoints(self, request: web.Request, body: Body, number: int | None) -> object:
        """List, create, change or delete endpoints."""
        own, replace = self.holdings, self._fault_config.puts_replace
        if number is None:
            if request.method == "GET":
                return {"success": True, "results": list(own.endpoints.values())}
            return own.create_endpoint(body)
        if request.method == "GET":
            return {"success": True, "result": own.endpoint(number)}
        return own.remove_endpoint(number) if request.method == "DELETE" else own.change_endpoint(number, body, replace)

    def _groups(self, request: web.Request, body: Body, number: int | None) -> object:
        """List, create, change or delete groups."""
        own = self.holdings
        if number is None:
            if request.method == "GET":
                return {"success": True, "results": list(own.groups.values())}
            return own.create_group(body)
        if request.method == "DELETE":
            return own.remove_group(number)
        result = own.change_group(number, body, self._fault_config.puts_replace)
        if self._fault_config.updates_by_itself:
            self.workers.update(own.groups[number], time.monotonic())
        return result

    def _instances(self, request: web.Request, _: Body, number: int | None) -> object:
        """List one page of instances, or delete an instance."""
        if request.method == "DELETE":
            if number is None or self.workers.members.pop(number, None) is None:
                raise CallRefused(404, "no_such_instance", "no such instance")
            return {"success": True}
        after, limit = int(request.query.get("after_token") or 0), int(request.query.get("limit") or 25)
        rows = [row for row in self.workers.instances(self.holdings.templates.versions) if row["id"] > after]
        token = str(rows[limit - 1]["id"]) if len(rows) > limit else None
        return {"success": True, "instances": rows[:limit], "next_token": token}

    async def _autoscaler(self, kind: str, body: Body) -> object:
        """Make a call of the autoscaler, which is another host at Vast."""
        own, now = self.holdings, time.monotonic()
        if kind == "update_workers":
            return {"success": True, "workers_to_update": self.workers.update(own.group(body["workergroup_id"]), now)}
        if kind == "get_endpoint_workers":
            endpoint = own.endpoints.get(body["id"])
            if endpoint is None:
                return {"error_msg": "endpoint not found"}
            if self._router and endpoint["endpoint_name"] == self._router.endpoint:
                return await self._router.workers()
            return self.workers.rows(endpoint, own.templates.versions, self._fault_config, now)
        if kind in ("get_endpoint_logs", "get_autogroup_logs"):
            lines = [f"{kind} {body['id']}: {len(self.workers.members)} workers", "autoscaler: nothing to do"]
            text = "\n".join(lines[-int(body.get("tail") or len(lines)) :])
            return dict.fromkeys(("info0", "info1", "trace", "debug"), f"{text}\n")
        raise CallRefused(404, "not_found", f"no route {kind}")


@asynccontextmanager
async def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    fault_config: AccountFaultConfig | None = None,
    vast: LocalVast | None = None,
) -> AsyncIterator[LocalAccount]:
    """Serve one account on one loopback port; 0 picks a free port.

    With `vast`, the account's endpoint of that name is the router's endpoint, with its workers and its key.
    """
    account = LocalAccount(fault_config or AccountFaultConfig(), vast)
    async with account.listening(host, port):
        yield account


@contextmanager
def run_in_thread(fault_config: AccountFaultConfig | None = None) -> Iterator[LocalAccount]:
    """Serve one account in a thread, for code that is not asynchronous."""
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    account = LocalAccount(fault_config or AccountFaultConfig())

    async def run() -> None:
        async with account.listening("127.0.0.1", 0):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), name="local-account")
    thread.start()
    try:
        if not ready.wait(10):
            raise TimeoutError("the simulated account did not start within 10 s")
        yield account
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
