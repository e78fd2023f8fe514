"""Calls handlers of comfy-worker as methods of a Modal class: `.remote`, `.map`, `.spawn`, `.get`, `.cancel`.

Copy this file beside the code that calls. It needs Python 3.10 and its standard library only, `vastai` for an endpoint
of Vast, and `modal` for an app on Modal.

    from comfy_caller import connect

    ComfyUI = connect("https://worker.example.com", token="...", methods={"generate_flux": "generate_flux_image"})
    result = ComfyUI().generate_flux.remote(prompt="a lighthouse at dusk")
    call = ComfyUI().generate_flux.spawn(prompt="a lighthouse at dawn")
    result = call.get(timeout=600)

Each of these has an async form, such as `await ComfyUI().generate_flux.remote.aio(prompt="a fox")`. What has no
counterpart raises Unsupported, whose message names the way to do it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from functools import partial
from typing import Any

ATTEMPTS, PAUSE_S = 5, 0.5
"""Attempts of a request whose connection fails, and seconds before the second one. Each pause is twice the last one."""
READ_S = 60.0
"""Seconds without any data after which a connection counts as lost. The worker sends events more often."""
UNITS = 3.0
"""Cost of a call in units, for Vast's router. The worker corrects it when the request arrives."""
MAP_CALLS = 8
"""Calls of one `.map` or `.starmap` that run or wait at the same time."""

UNSUPPORTED = {
    "with_options": "the GPU and the limits are settings of the deployment: deploy another one, and connect to it",
    "with_concurrency": "set WORKER_HANDLERS_PROCESSES and the number of workers of the deployment",
    "with_batching": "a handler gets one input: let it take a list",
    "update_autoscaler": "set the number of workers of the deployment",
    "keep_warm": "set the number of workers of the deployment",
    "get_current_stats": "read GET /metrics of the worker",
    "remote_gen": "a handler returns one result: let it return a list, or read GET /jobs/{id}/events",
    "local": "import the function from handlers/",
    "for_each": "use `for _ in method.map(...): pass`",
    "spawn_map": "call `spawn` for each input, and keep the calls",
    "get_gen": "a handler returns one result: use `get`",
    "get_call_graph": "read GET /jobs/{id} of the worker",
    "from_name": "use `connect(url)`",
    "lookup": "use `connect(url)`",
}
"""Attributes of Modal's objects that have no counterpart, and what to do instead."""


class RemoteError(Exception):
    """A call that failed. `code` is that of the error, such as `handler_failed`, and `status` the HTTP status."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Unsupported(NotImplementedError):
    """A feature of Modal's client that has no counterpart here. The message names what to do instead."""


class Blocking:
    """A blocking method with an async form, `.aio`, which Modal's methods have too.

    Without a function of its own, the async form runs the blocking one in a thread.
    """

    def __init__(self, function: Callable[..., Any], aio: Callable[..., Any] | None = None) -> None:
        self._function = function
        self.aio = aio or partial(_in_thread, function)
        self.__doc__ = function.__doc__

    def __get__(self, owner: Any, _: type | None = None) -> Blocking:
        """Return the method of an object."""
        return self if owner is None else Blocking(partial(self._function, owner), partial(self.aio, owner))

    def __call__(self, *positional: Any, **named: Any) -> Any:
        """Call the method, and wait for its result."""
        return self._function(*positional, **named)


async def _in_thread(function: Callable[..., Any], *positional: Any, **named: Any) -> Any:
    """Return the result of a blocking call. It has a thread of its own, so that no number of calls waits for others."""
    done = Future[Any]()
    done.set_running_or_notify_cancel()

    def run() -> None:
        """Run the call to its end."""
        try:
            done.set_result(function(*positional, **named))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(done)


def _unsupported(owner: str, name: str) -> Exception:
    """Return the exception for an attribute that does not exist."""
    if name in UNSUPPORTED:
        return Unsupported(f"{owner}.{name} has no counterpart with comfy-worker: {UNSUPPORTED[name]}")
    return AttributeError(f"{owner} has no attribute {name!r}")


def connect(
    url: str,
    *,
    token: str | None = None,
    methods: Mapping[str, str] | None = None,
    cost: float = UNITS,
    vast_url: str | None = None,
) -> Any:
    """Return a class whose methods are the handlers behind a URL.

    The URL is that of a worker (`https://...`), of an endpoint of Vast (`vast://ENDPOINT`, with VAST_API_KEY in the
    environment), or of a class on Modal (`modal://APP/CLASS`), where nothing changes. `methods` maps names of methods
    to names of handlers that differ. `token` is one of the worker's tokens. `vast_url` is the address of a local copy
    of Vast (`comfy-worker serve --platform vast-local`). Raises ValueError for another URL.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in ("http", "https"):
        return RemoteClass(HttpTransport(url.rstrip("/"), token), methods or {})
    if parts.scheme == "vast" and parts.netloc:
        return RemoteClass(VastTransport(parts.netloc, cost, vast_url), methods or {})
    if parts.scheme == "modal" and parts.netloc and parts.path.strip("/"):
        import modal

        return modal.Cls.from_name(parts.netloc, parts.path.strip("/"))
    raise ValueError(f"{url!r} is none of https://HOST, vast://ENDPOINT and modal://APP/CLASS")


class RemoteClass:
    """The class of an app. It has no parameters."""

    def __init__(self, transport: HttpTransport | VastTransport, names: Mapping[str, str]) -> None:
        self._transport = transport
        self._names = names

    def __call__(self, *positional: Any, **named: Any) -> Handlers:
        """Return an instance. Raises Unsupported for parameters of the class."""
        if positional or named:
            given = ", ".join([*map(repr, positional), *named])
            raise Unsupported(f"the class has no parameters ({given}): pass them as arguments of the handler")
        return Handlers(self._transport, self._names)

    def __getattr__(self, name: str) -> Any:
        """Raise Unsupported or AttributeError."""
        raise _unsupported("the class", name)


class Handlers:
    """The handlers of an app. Each attribute is a method."""

    def __init__(self, transport: HttpTransport | VastTransport, names: Mapping[str, str]) -> None:
        self._transport = transport
        self._names = names

    def __getattr__(self, name: str) -> Method:
        """Return the method with a name."""
        if name.startswith("_"):
            raise AttributeError(name)
        if name in ("with_options", "update_autoscaler", "keep_warm") and name not in self._names:
            raise _unsupported("the class", name)
        return Method(self._transport, self._names.get(name, name))


class Method:
    """One handler. Positional arguments get the names of the handler's parameters, because arguments are sent as JSON.

    They need a URL of a worker: the parameters cannot be read through Vast's router.
    """

    def __init__(self, transport: HttpTransport | VastTransport, handler: str) -> None:
        self._transport = transport
        self._handler = handler

    def _spawn(self, *positional: Any, **named: Any) -> FunctionCall:
        """Start a call. Raises RemoteError if it is refused, and OSError if nobody responds."""
        return self._transport.spawn(self._handler, {**self._named(positional, named), **named})

    def _remote(self, *positional: Any, **named: Any) -> Any:
        """Call the handler and return its result. Raises RemoteError, and OSError if nobody responds."""
        return self._spawn(*positional, **named).get()

    async def _remote_aio(self, *positional: Any, **named: Any) -> Any:
        """Call the handler and return its result. When the task is cancelled, cancel the call."""
        call = await _in_thread(self._spawn, *positional, **named)
        try:
            return await call.get.aio()
        except asyncio.CancelledError:
            await call.cancel.aio()
            raise

    def _starmap(
        self,
        inputs: Iterable[Iterable[Any]],
        *,
        kwargs: Mapping[str, Any] | None = None,
        order_outputs: bool = True,
        return_exceptions: bool = False,
    ) -> Iterator[Any]:
        """Call the handler with each tuple of arguments, and yield the results.

        After an error that is raised, calls that have not begun are dropped.
        """
        pool = ThreadPoolExecutor(MAP_CALLS)
        try:
            calls = [pool.submit(self._remote, *each, **(kwargs or {})) for each in inputs]
            for call in calls if order_outputs else as_completed(calls):
                error = call.exception()
                if error and not return_exceptions:
                    raise error
                yield error or call.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _map(self, *inputs: Iterable[Any], **options: Any) -> Iterator[Any]:
        """Call the handler with each input, and yield the results. Several iterables give several arguments."""
        return self._starmap(zip(*inputs, strict=False), **options)

    async def _starmap_aio(self, inputs: Iterable[Iterable[Any]], **options: Any) -> AsyncIterator[Any]:
        """Yield the results of `starmap`."""
        results, end = self._starmap(inputs, **options), object()
        while (value := await _in_thread(next, results, end)) is not end:
            yield value

    def _map_aio(self, *inputs: Iterable[Any], **options: Any) -> AsyncIterator[Any]:
        """Yield the results of `map`."""
        return self._starmap_aio(zip(*inputs, strict=False), **options)

    remote = Blocking(_remote, _remote_aio)
    spawn = Blocking(_spawn)
    starmap = Blocking(_starmap, _starmap_aio)
    map = Blocking(_map, _map_aio)

    def _named(self, positional: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
        """Return positional arguments by name. Raises TypeError if there are too many, or one is given twice."""
        if not positional:
            return {}
        names = self._transport.parameters(self._handler)
        if len(positional) > len(names):
            raise TypeError(f"{self._handler}() takes {len(names)} positional arguments ({', '.join(names)})")
        arguments = dict(zip(names, positional, strict=False))
        if twice := arguments.keys() & named.keys():
            raise TypeError(f"{self._handler}() got the argument {min(twice)!r} twice")
        return arguments

    def __getattr__(self, name: str) -> Any:
        """Raise Unsupported or AttributeError."""
        raise _unsupported("the method", name)


class FunctionCall:
    """A call that has started. `object_id` names it in other processes, with `FunctionCall.from_id`.

    It is None for a call through Vast, which only this process knows. It contains the token of the call.
    """

    def __init__(
        self, object_id: str | None, result: Callable[[float | None], Any], cancel: Callable[[], None]
    ) -> None:
        self.object_id = object_id
        self._result = result
        self._cancel_call = cancel

    @staticmethod
    def from_id(object_id: str | None, url: str | None = None) -> FunctionCall:
        """Return a call that another process has started on a worker. `url` is the worker's, if it has changed.

        Raises Unsupported for a call through Vast, and ValueError for a text that is no id.
        """
        if object_id is None:
            raise Unsupported("a call through Vast has no id: keep the FunctionCall, or call the worker by its URL")
        worker, _, call = object_id.rpartition("#")
        if not (worker or url) or ":" not in call:
            raise ValueError(f"{object_id[:20]!r}... is no id of a call of comfy-worker")
        return HttpTransport((url or worker).rstrip("/"), None).call(call)

    @staticmethod
    def gather(*calls: FunctionCall) -> list[Any]:
        """Return the results of calls in their order. Raises the error of the first one that has failed."""
        return [call.get() for call in calls]

    def _get(self, timeout: float | None = None) -> Any:
        """Return the result. Raises TimeoutError after `timeout` seconds, and RemoteError if the call has failed."""
        return self._result(timeout)

    def _cancel(self, terminate_containers: bool = False) -> None:
        """Cancel the call and the prompts that it runs. A call that has ended is not affected."""
        if terminate_containers:
            raise Unsupported("a worker is not terminated with a call: use cancel()")
        self._cancel_call()

    get = Blocking(_get)
    cancel = Blocking(_cancel)

    def __getattr__(self, name: str) -> Any:
        """Raise Unsupported or AttributeError."""
        raise _unsupported("the call", name)


class HttpTransport:
    """Sends calls to a worker over HTTP."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self._login = {"Authorization": f"Bearer {token}"} if token else {}
        self._parameters: dict[str, list[str]] = {}

    def parameters(self, handler: str) -> list[str]:
        """Return the names of a handler's parameters in their order. Raises RemoteError if there is no such handler."""
        if handler not in self._parameters:
            _, table = self._request("GET", "/handlers", self._login)
            self._parameters = {
                each["name"]: [parameter["name"] for parameter in each["parameters"]] for each in table["handlers"]
            }
        if handler not in self._parameters:
            raise RemoteError("unknown_handler", f"there is no handler {handler!r}", 404)
        return self._parameters[handler]

    def spawn(self, handler: str, arguments: Mapping[str, Any]) -> FunctionCall:
        """Start a call. A request that is repeated because its connection failed starts it once."""
        headers = {"Prefer": "respond-async", "Idempotency-Key": os.urandom(16).hex(), **self._login}
        path = f"/handlers/{urllib.parse.quote(handler, safe='')}"
        _, handle = self._request("POST", path, headers, json.dumps(_encoded(arguments)).encode())
        return self.call(f"{handle['id']}:{handle['token']}")

    def call(self, handle: str) -> FunctionCall:
        """Return the call of a job: its id, a colon and its token."""
        job, _, token = handle.partition(":")
        path, headers = f"/jobs/{urllib.parse.quote(job, safe='')}", {"Authorization": f"Bearer {token}"}

        def result(timeout: float | None) -> Any:
            """Follow the events until the call has ended, and return its result."""
            deadline = None if timeout is None else time.monotonic() + timeout
            while True:
                status, value = self._request("GET", path, headers)
                if status != 202:
                    return value
                left_s = READ_S if deadline is None else min(READ_S, deadline - time.monotonic())
                if left_s <= 0:
                    raise TimeoutError(f"the call has not ended within {timeout} s")
                self._follow(path, headers, left_s)

        def cancel() -> None:
            """Cancel the job of the call."""
            self._request("DELETE", path, headers)

        return FunctionCall(f"{self._url}#{handle}", result, cancel)

    def _follow(self, path: str, headers: Mapping[str, str], most_s: float) -> None:
        """Read the events of a job until they end, for at most `most_s` seconds."""
        end = time.monotonic() + most_s
        request = urllib.request.Request(f"{self._url}{path}/events", headers=dict(headers))
        try:
            with urllib.request.urlopen(request, timeout=max(most_s, 0.1)) as events:
                while events.read1(65536) and time.monotonic() < end:
                    pass
        except (OSError, urllib.error.HTTPError):
            time.sleep(min(PAUSE_S, most_s))  # the state of the job is asked next

    def _request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, Any]:
        """Send a request, again if its connection fails, and return the status and the value of the response."""
        pause_s = PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            request = urllib.request.Request(self._url + path, body, dict(headers), method=method)
            try:
                with urllib.request.urlopen(request, timeout=READ_S) as response:
                    return response.status, _value(response.headers.get_content_type(), response.read())
            except urllib.error.HTTPError as error:
                raise _error(error.code, error.read()) from None
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if attempt == ATTEMPTS:
                    raise
            time.sleep(pause_s)
            pause_s *= 2
        raise AssertionError("unreachable")


class VastTransport:
    """Sends calls through Vast's router to a worker, with Vast's own client. Each call has a thread."""

    def __init__(self, endpoint: str, cost: float, url: str | None) -> None:
        self._endpoint = endpoint
        self._cost = cost
        self._url = url

    def parameters(self, handler: str) -> list[str]:
        """Raise Unsupported: the router passes on no GET."""
        raise Unsupported(f"the parameters of {handler!r} cannot be read through Vast: pass arguments by name")

    def spawn(self, handler: str, arguments: Mapping[str, Any]) -> FunctionCall:
        """Start a call."""
        loop, done = asyncio.new_event_loop(), Future[Any]()
        task = loop.create_task(self._call(handler, _encoded(arguments)))

        def run() -> None:
            """Run the call to its end."""
            try:
                done.set_result(loop.run_until_complete(task))
            except asyncio.CancelledError:
                done.set_exception(RemoteError("cancelled", "the call was cancelled", 499))
            except Exception as error:
                done.set_exception(error)
            finally:
                loop.close()

        def result(timeout: float | None) -> Any:
            """Wait for the end of the call, and return its result."""
            if timeout is not None and not wait([done], timeout).done:
                raise TimeoutError(f"the call has not ended within {timeout} s")
            return done.result()

        threading.Thread(target=run, daemon=True).start()
        return FunctionCall(None, result, lambda: None if done.done() else _cancel(loop, task))

    async def _call(self, handler: str, arguments: dict[str, Any]) -> Any:
        """Call the handler, and return its result."""
        async with self._client() as client:
            endpoint = await client.get_endpoint(self._endpoint)
            answer = await endpoint.request(f"/handlers/{handler}", arguments, cost=self._cost)
            status, value = int(answer["status"]), answer["response"]
            if status == 202:  # the call takes longer than WORKER_SYNC_LIMIT
                status, value = await _await_result(client, answer["url"], value)
        if status >= 400:
            raise _error(status, json.dumps(value).encode())
        return value

    def _client(self) -> Any:
        """Return Vast's client."""
        from vastai.serverless.client.client import Serverless

        key = os.environ.get("VAST_API_KEY")  # the client reads it when it is imported
        if not self._url:
            return Serverless(key)
        client = Serverless(key, autoscaler_url=self._url, webserver_url=self._url)
        client.SSL_CERT_URL = f"{self._url}/root.pem"
        return client


async def _await_result(client: Any, url: str, job: Mapping[str, Any]) -> tuple[int, Any]:
    """Follow a job until it ends, on the worker that knows it, and return the status and the value of its result.

    When the task is cancelled, cancel the job. Raises OSError when the worker does not respond any more.
    """
    import aiohttp

    handle, failures = {"id": job["id"], "token": job["token"]}, 0
    connector = aiohttp.TCPConnector(ssl=await client.get_ssl_context())
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(sock_read=READ_S)) as session:
        while True:
            try:
                async with session.post(f"{url}/events", json=handle) as events:
                    async for _ in events.content.iter_any():
                        pass
                async with session.post(f"{url}/result", json=handle) as response:
                    if response.status != 202:
                        return response.status, _value(response.content_type, await response.read())
                failures = 0
            except asyncio.CancelledError:
                async with session.post(f"{url}/cancel", json=handle):
                    raise
            except (OSError, aiohttp.ClientError) as error:
                failures += 1
                if failures == ATTEMPTS:
                    raise ConnectionError(f"the worker of the call does not respond: {error}") from error
                await asyncio.sleep(PAUSE_S * 2**failures)


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    """Cancel a task of a loop that runs in another thread. Its connection closes, which cancels the call."""
    loop.call_soon_threadsafe(task.cancel)


def _encoded(value: Any) -> Any:
    """Return arguments as JSON values. Bytes have the form in which a worker reads and returns them."""
    if isinstance(value, (bytes, bytearray)):
        return {"media_type": "application/octet-stream", "data": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {key: _encoded(entry) for key, entry in value.items()}
    return [_encoded(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _value(media_type: str, data: bytes) -> Any:
    """Return the value of a result: the one in its JSON, else its bytes."""
    return json.loads(data) if media_type == "application/json" else data


def _error(status: int, data: bytes) -> RemoteError:
    """Return the exception for the body of an error."""
    try:
        error = json.loads(data)["error"]
        return RemoteError(str(error["code"]), str(error["message"]), status)
    except (ValueError, KeyError, TypeError):
        return RemoteError("http_error", data[:500].decode(errors="replace"), status)
