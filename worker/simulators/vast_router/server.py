"""The simulated router: the routes that Vast's client and SDK worker call, on one loopback port."""

from __future__ import annotations

import asyncio
import datetime
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from aiohttp import web

from worker.engine.process.free_port import free_ports
from worker.errors import CannotListen
from worker.simulators.vast_router.authority import Authority
from worker.simulators.vast_router.fault_config import RouterFaultConfig
from worker.simulators.vast_router.report_log import Deletion, ReportLog, StatusReport
from worker.simulators.vast_router.router import Router
from worker.simulators.vast_router.signer import Signer
from worker.simulators.vast_router.tls_proxy import run_tls_proxy

if TYPE_CHECKING:
    from vastai.serverless.client.client import Serverless

MAX_BODY = 16 * 2**20


class LocalVast:
    """One endpoint with any number of workers.

    The keys are random: `api_key` is the account's, `endpoint_key` the endpoint's, and `master_token` the workers'.
    """

    def __init__(self, endpoint: str, fault_config: RouterFaultConfig, *, tls: bool) -> None:
        self.endpoint = endpoint
        self.url = ""
        self.api_key = f"account-{secrets.token_hex(24)}"
        self.endpoint_key = f"endpoint-{secrets.token_hex(24)}"
        self.master_token = f"master-{secrets.token_hex(24)}"
        self.record = ReportLog()
        self._tls = tls
        self._authority = Authority()
        self._signer, self._other_signer = Signer(), Signer()
        self.router = Router(endpoint, self.record)
        self._fault_config = fault_config
        self._keys_sent = 0
        self.certificate_requests: list[int] = []
        """Instance numbers of the requests for a certificate."""
        self._proxies = AsyncExitStack()

    def configure(self, fault_config: RouterFaultConfig) -> None:
        """Replace the switches from the next request on."""
        self._fault_config = fault_config

    def sign(self, url: str) -> str:
        """Return the router's signature of a worker's URL."""
        return self._signer.sign(url)

    def client(self) -> Serverless:
        """Return Vast's own client for this address. Use it as `async with`."""
        from vastai.serverless.client.client import Serverless

        client = Serverless(api_key=self.api_key, autoscaler_url=self.url, webserver_url=self.url)
        client.SSL_CERT_URL = f"{self.url}/root.pem"
        return client

    async def worker_env(self, container_id: int) -> dict[str, str]:
        """Return the environment in which Vast starts a container, for a worker process on this machine.

        With TLS, the public port is that of a TLS proxy, because the SDK could only use /etc/instance.crt.
        """
        port, http_port = free_ports(2)
        public = port
        if self._tls:
            public = await self._proxies.enter_async_context(run_tls_proxy(port, self._authority.server_context()))
        return {
            "CONTAINER_ID": str(container_id),
            "PUBLIC_IPADDR": "127.0.0.1",
            "WORKER_PORT": str(port),
            "WORKER_HTTP_PORT": str(http_port),
            f"VAST_TCP_PORT_{port}": str(public),
            "REPORT_ADDR": self.url,
            "WORKER_SIGN_ADDR": self.url,
            "MASTER_TOKEN": self.master_token,
            "USE_SSL": "false",
        }

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[None]:
        """Serve while the context lasts. Raises CannotListen."""
        app = web.Application(client_max_size=MAX_BODY)
        app.add_routes(self._routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except (OSError, OverflowError) as error:
                raise CannotListen(host, port, error) from error
            self.url = f"http://{host}:{runner.addresses[0][1]}"
            async with self._proxies:
                yield
        finally:
            await runner.cleanup()

    def _routes(self) -> list[web.RouteDef]:
        """Return the routes that Vast's client and SDK worker call."""
        return [
            web.get("/root.pem", self._root),
            web.get("/pubkey/", self._pubkey),
            web.post("/worker_status/", self._status),
            web.post("/delete_requests/", self._delete),
            web.post("/route/", self._route),
            web.post("/get_endpoint_workers/", self._workers),
            web.post("/api/v0/sign_cert/", self._sign_certificate),
            web.get("/api/v0/endptjobs/", self._endpoints),
            web.get("/api/v0/endptjobs/1/", self._endpoint),
        ]

    async def _root(self, _: web.Request) -> web.Response:
        """Return the root certificate."""
        return web.Response(body=self._authority.root_pem, content_type="application/x-pem-file")

    async def _pubkey(self, _: web.Request) -> web.Response:
        """Return the public key, or an error that is configured."""
        if self._fault_config.pubkey_status != 200:
            return _refusal(self._fault_config.pubkey_status)
        if self._fault_config.pubkey_answers is not None and self._keys_sent >= self._fault_config.pubkey_answers:
            return _refusal(503)
        self._keys_sent += 1
        return web.Response(text=self._signer.public_pem)

    async def _sign_certificate(self, request: web.Request) -> web.Response:
        """Return a certificate for the signing request in the body, or the fault that is configured.

        As far as is known, Vast does not check the sender.
        """
        self.certificate_requests.append(int(request.query["instance_id"]))
        fault_config = self._fault_config
        if fault_config.sign_status != 200:
            return _refusal(fault_config.sign_status)
        if len(self.certificate_requests) <= fault_config.sign_failures:
            return _refusal(503)
        if fault_config.sign_page:
            return _page()
        life = datetime.timedelta(seconds=fault_config.sign_life_s)
        return web.Response(body=self._authority.sign(await request.read(), fault_config.sign_host, life))

    async def _status(self, request: web.Request) -> web.Response:
        """Store a worker's status report, unless a fault is configured."""
        body = await self._from_worker(request)
        fault_config = self._fault_config
        await asyncio.sleep(fault_config.status_delay_s)
        if fault_config.status_status != 200:
            return _refusal(fault_config.status_status)
        if fault_config.report_page:
            return _page()
        status = StatusReport.read(body)
        self.router.fleet.report(status, time.monotonic())
        self.record.add(status)
        return web.json_response({"success": True})

    async def _delete(self, request: web.Request) -> web.Response:
        """Store the requests that a worker reports as done, unless a fault is configured."""
        body = await self._from_worker(request)
        fault_config = self._fault_config
        await asyncio.sleep(fault_config.delete_delay_s)
        if fault_config.delete_status != 200:
            return _refusal(fault_config.delete_status)
        if fault_config.report_page:
            return _page()
        deletions = [Deletion(worker_id=body["worker_id"], **row) for row in body["requests"]]
        self.router.delete(deletion.request_idx for deletion in deletions)
        self.record.add(*deletions)
        return web.json_response({"success": True})

    async def _route(self, request: web.Request) -> web.Response:
        """Assign a request to a worker, and return the worker's URL with its signature.

        The response has a "not ready" status and no URL when no worker can be chosen.
        """
        body: dict[str, Any] = await request.json()
        if body.get("api_key") != self.endpoint_key or request.query.get("api_key") != self.endpoint_key:
            return _refusal(401)
        if body.get("endpoint") != self.endpoint:
            return _refusal(404)
        fault_config = self._fault_config
        if fault_config.route_status != 200:
            return _refusal(fault_config.route_status)
        response = await self._assign(int(body["request_idx"]), float(body["cost"]), fault_config)
        if "url" in response:
            signer = self._signer if fault_config.true_signature else self._other_signer
            url = str(response["url"]).replace("http://", "https://") if self._tls else str(response["url"])
            response |= {"url": url, "signature": signer.sign(url)}
        return web.json_response(response)

    async def _assign(self, request_idx: int, cost: float, fault_config: RouterFaultConfig) -> dict[str, object]:
        """Return the router's response. Without a worker, hold the request for `hold_s` seconds before."""
        router = self.router
        response = router.route(request_idx, cost, time.monotonic(), fault_config)
        if "url" in response or not fault_config.hold_s:
            return response
        number = int(str(response["request_idx"]))
        router.waiting.hold(number, time.monotonic() + fault_config.hold_s)
        with suppress(TimeoutError):
            # No other request is routed between the end of this wait and the call of `route` below.
            can_assign = partial(router.can_assign, number, fault_config=fault_config)
            await self.record.until(lambda _: can_assign(now=time.monotonic()), fault_config.hold_s)
        return router.route(number, cost, time.monotonic(), fault_config)

    async def _workers(self, request: web.Request) -> web.Response:
        """List the workers of the endpoint."""
        if (await request.json()).get("api_key") != self.api_key:
            return web.json_response({"error_msg": "unknown api_key"})
        return web.json_response(self.router.workers(time.monotonic(), self._fault_config.silence_s))

    async def _endpoints(self, request: web.Request) -> web.Response:
        """List the one endpoint."""
        if request.query.get("api_key") != self.api_key:
            return _refusal(401)
        return web.json_response({"success": True, "results": [self._endpoint_row()]})

    async def _endpoint(self, _: web.Request) -> web.Response:
        """Return the one endpoint."""
        return web.json_response({"result": self._endpoint_row()})

    def _endpoint_row(self) -> dict[str, object]:
        """Return the endpoint as the API lists it."""
        return {
            "id": 1,
            "endpoint_name": self.endpoint,
            "api_key": self.endpoint_key,
            "user_id": 1,
            "created_at": 0.0,
            "max_queue_time": self._fault_config.max_queue_time_s,
        }

    async def _from_worker(self, request: web.Request) -> dict[str, Any]:
        """Return the JSON body of a worker's request. Raises HTTPUnauthorized when the worker's token is wrong.

        Whether Vast checks the token is unknown.
        """
        body: dict[str, Any] = await request.json()
        if body.get("mtoken") != self.master_token:
            raise web.HTTPUnauthorized
        return body


@asynccontextmanager
async def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    endpoint: str = "comfy",
    tls: bool = False,
    fault_config: RouterFaultConfig | None = None,
) -> AsyncIterator[LocalVast]:
    """Serve one endpoint on one loopback port. Port 0 picks a free port. Raises CannotListen.

    With `tls`, clients reach the workers by https.
    """
    vast = LocalVast(endpoint, fault_config or RouterFaultConfig(), tls=tls)
    async with vast.listening(host, port):
        yield vast


def _page() -> web.Response:
    """Return an HTML page instead of a JSON response."""
    return web.Response(text="<html>Sign in</html>", content_type="text/html")


def _refusal(status: int) -> web.Response:
    """Return an error response with this HTTP status."""
    return web.json_response(
        {"success": False, "error": "refused", "msg": f"the simulated router returns {status}"}, status=status
    )
