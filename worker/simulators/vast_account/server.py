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
from worker.simulators.vast_account.offer_search import matching
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
        """Handle one call, with the fault that is configured for its number, and log it.

        Calls for the router are forwarded to it, and are not counted.
        """
        if self._router and request.path in ROUTER_PATHS:
            return await self._router.forward(request)
        text = await request.text()
        body: Body = json.loads(text) if text else {}
        self._calls += 1
        fault_config = self._fault_config
        fault = fault_config.faults.get(self._calls)
        if not self._limits.allow(request.method, request.path, fault_config, time.monotonic()):
            fault = CallFault.LIMITED
        response = None
        if fault is None or fault.takes_effect:
            response = await self._execute(request, body)
        if fault is not None:
            # The response of a call that took effect is lost.
            response = await self._fail(request, fault, fault_config)
        self.record.add(request.method, request.path, body, 0 if response is None else response.status)
        # Without a response, the connection is closed already, so the empty one is never sent.
        return web.Response() if response is None else response

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

    async def _execute(self, request: web.Request, body: Body) -> web.Response:
        """Check the API key, make the call, rent the workers that are missing after it, and return the response.

        The key may be in the Authorization header, in the query or in the body.
        """
        bearer_token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.api_key not in (bearer_token, request.query.get("api_key"), body.get("api_key")):
            return web.json_response({"success": False, "error": "auth_error", "msg": "invalid user key"}, status=401)
        try:
            result = await self._call(request, body)
            self.workers.rent_missing_workers(self.holdings.groups, self.holdings.endpoints, time.monotonic())
        except CallRefused as error:
            content = {"success": False, "error": error.error, "msg": error.message}
            return web.json_response(content, status=error.status)
        return web.json_response(result)

    async def _call(self, request: web.Request, body: Body) -> object:
        """Make a call and return its result. Raises CallRefused.

        The first part of the path after the version names the resource, and a last part in digits is an id.
        """
        parts = [part for part in request.path.split("/") if part]
        number = int(parts[-1]) if parts and parts[-1].isdigit() else None
        resource = next((part for part in parts if part not in ("api", "v0", "v1")), "")
        calls: dict[str, Callable[[web.Request, Body, int | None], object]] = {
            "users": self._user,
            "secrets": self._secrets,
            "template": self._templates,
            "endptjobs": self._endpoints,
            "autojobs": self._groups,
            "instances": self._instances,
            "bundles": lambda _, query, __: {"success": True, "offers": matching(self.holdings.offers, query)},
        }
        if resource in calls:
            return calls[resource](request, body, number)
        return await self._autoscaler(resource, body)

    def _user(self, *_: object) -> object:
        """Return the account's user."""
        return {"id": self.holdings.user_id, "api_key": self.api_key, "email": "someone@example.com"}

    def _secrets(self, request: web.Request, body: Body, _: int | None) -> object:
        """List, create (POST), change (PUT) or delete variables. The list hides their values."""
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
        """List or create endpoints, or return, change or delete the endpoint `number`."""
        holdings = self.holdings
        if number is None:
            if request.method == "GET":
                return {"success": True, "results": list(holdings.endpoints.values())}
            return holdings.create_endpoint(body)
        if request.method == "GET":
            return {"success": True, "result": holdings.endpoint(number)}
        if request.method == "DELETE":
            return holdings.remove_endpoint(number)
        return holdings.change_endpoint(number, body, self._fault_config.puts_replace)

    def _groups(self, request: web.Request, body: Body, number: int | None) -> object:
        """List or create groups, or change or delete the group `number`."""
        holdings = self.holdings
        if number is None:
            if request.method == "GET":
                return {"success": True, "results": list(holdings.groups.values())}
            return holdings.create_group(body)
        if request.method == "DELETE":
            return holdings.remove_group(number)
        result = holdings.change_group(number, body, self._fault_config.puts_replace)
        if self._fault_config.updates_by_itself:
            self.workers.restart_outdated(holdings.groups[number], time.monotonic())
        return result

    def _instances(self, request: web.Request, _: Body, number: int | None) -> object:
        """List one page of instances, or delete the instance `number`.

        The page starts after the id `after_token`. Its `next_token` is the last id, or None on the last page.
        """
        if request.method == "DELETE":
            if number is None or self.workers.members.pop(number, None) is None:
                raise CallRefused(404, "no_such_instance", "no such instance")
            return {"success": True}
        after = int(request.query.get("after_token") or 0)
        limit = int(request.query.get("limit") or 25)
        rows = [row for row in self.workers.instances(self.holdings.templates.versions) if row["id"] > after]
        next_token = str(rows[limit - 1]["id"]) if len(rows) > limit else None
        return {"success": True, "instances": rows[:limit], "next_token": next_token}

    async def _autoscaler(self, route: str, body: Body) -> object:
        """Make a call of the autoscaler, which is another host at Vast. Raises CallRefused for an unknown route."""
        holdings, now = self.holdings, time.monotonic()
        if route == "update_workers":
            restarted_ids = self.workers.restart_outdated(holdings.group(body["workergroup_id"]), now)
            return {"success": True, "workers_to_update": restarted_ids}
        if route == "get_endpoint_workers":
            endpoint = holdings.endpoints.get(body["id"])
            if endpoint is None:
                return {"error_msg": "endpoint not found"}
            if self._router and endpoint["endpoint_name"] == self._router.endpoint:
                return await self._router.workers()
            return self.workers.rows(endpoint, holdings.templates.versions, self._fault_config, now)
        if route in ("get_endpoint_logs", "get_autogroup_logs"):
            lines = [f"{route} {body['id']}: {len(self.workers.members)} workers", "autoscaler: nothing to do"]
            text = "\n".join(lines[-int(body.get("tail") or len(lines)) :])
            return dict.fromkeys(("info0", "info1", "trace", "debug"), f"{text}\n")
        raise CallRefused(404, "not_found", f"no route {route}")


@asynccontextmanager
async def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    fault_config: AccountFaultConfig | None = None,
    vast: LocalVast | None = None,
) -> AsyncIterator[LocalAccount]:
    """Serve one account on one loopback port. Port 0 picks a free port. Raises CannotListen.

    With `vast`, the account's endpoint of that name is the router's endpoint, with its workers and its key.
    """
    account = LocalAccount(fault_config or AccountFaultConfig(), vast)
    async with account.listening(host, port):
        yield account


@contextmanager
def run_in_thread(fault_config: AccountFaultConfig | None = None) -> Iterator[LocalAccount]:
    """Serve one account in a thread, for code that is not asynchronous. Raises TimeoutError when it does not start."""
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
