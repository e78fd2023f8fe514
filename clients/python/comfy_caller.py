"""Calls handlers of comfy-worker as methods of a Modal class: `.remote`, `.spawn`, `.get`, `.cancel`.

Copy this file beside the code that calls. It needs Python 3.10 and its standard library only, `vastai` for an endpoint
of Vast, and `modal` for an app on Modal.

    from comfy_caller import connect

    ComfyUI = connect("https://worker.example.com", token="...", methods={"generate_flux": "generate_flux_image"})
    result = ComfyUI().generate_flux.remote(prompt="a lighthouse at dusk")
    call = ComfyUI().generate_flux.spawn(prompt="a lighthouse at dawn")
    result = call.get(timeout=600)
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

ATTEMPTS, PAUSE_S = 5, 0.5
"""Attempts of a request whose connection fails, and seconds before the second one. Each pause is twice the last one."""
READ_S = 60.0
"""Seconds without any data after which a connection counts as lost. The worker sends events more often."""
UNITS = 3.0
"""Cost of a call in units, for Vast's router. The worker corrects it when the request arrives."""


class RemoteError(Exception):
    """A call that failed. `code` is that of the error, such as `handler_failed`, and `status` the HTTP status."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def connect(
    url: str, *, token: str | None = None, methods: Mapping[str, str] | None = None, cost: float = UNITS
) -> Callable[[], Any]:
    """Return a class whose methods are the handlers behind a URL.

    The URL is that of a worker (`https://...`), of an endpoint of Vast (`vast://ENDPOINT`, with VAST_API_KEY in the
    environment), or of a class on Modal (`modal://APP/CLASS`), where nothing changes. `methods` maps names of methods
    to names of handlers that differ. `token` is one of the worker's tokens. Raises ValueError for another URL.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme in ("http", "https"):
        return lambda: Handlers(HttpTransport(url.rstrip("/"), token), methods or {})
    if parts.scheme == "vast" and parts.netloc:
        return lambda: Handlers(VastTransport(parts.netloc, cost), methods or {})
    if parts.scheme == "modal" and parts.netloc and parts.path.strip("/"):
        import modal

        return modal.Cls.from_name(parts.netloc, parts.path.strip("/"))  # type: ignore[no-any-return]
    raise ValueError(f"{url!r} is none of https://HOST, vast://ENDPOINT and modal://APP/CLASS")


class Handlers:
    """The handlers of an app. Each attribute is a method."""

    def __init__(self, transport: HttpTransport | VastTransport, names: Mapping[str, str]) -> None:
        self._transport = transport
        self._names = names

    def __getattr__(self, name: str) -> Method:
        """Return the method with a name."""
        if name.startswith("_"):
            raise AttributeError(name)
        return Method(self._transport, self._names.get(name, name))


class Method:
    """One handler. Arguments are keyword arguments, because they are sent as JSON."""

    def __init__(self, transport: HttpTransport | VastTransport, handler: str) -> None:
        self._transport = transport
        self._handler = handler

    def remote(self, **arguments: Any) -> Any:
        """Call the handler and return its result. Raises RemoteError, and OSError if nobody responds."""
        return self.spawn(**arguments).get()

    def spawn(self, **arguments: Any) -> FunctionCall:
        """Start a call. Raises RemoteError if it is refused, and OSError if nobody responds."""
        return self._transport.spawn(self._handler, arguments)


class FunctionCall:
    """A call that has started. `object_id` names it in other processes, with `FunctionCall.from_id`.

    It is None for a call through Vast, which only this process knows.
    """

    def __init__(
        self, object_id: str | None, result: Callable[[float | None], Any], cancel: Callable[[], None]
    ) -> None:
        self.object_id = object_id
        self._result = result
        self._cancel = cancel

    @staticmethod
    def from_id(object_id: str, url: str) -> FunctionCall:
        """Return a call that another process has started on the worker at this URL."""
        return HttpTransport(url.rstrip("/"), None).call(object_id)

    def get(self, timeout: float | None = None) -> Any:
        """Return the result. Raises TimeoutError after `timeout` seconds, and RemoteError if the call has failed."""
        return self._result(timeout)

    def cancel(self) -> None:
        """Cancel the call and the prompts that it runs. A call that has ended is not affected."""
        self._cancel()


class HttpTransport:
    """Sends calls to a worker over HTTP."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url = url
        self._token = token

    def spawn(self, handler: str, arguments: Mapping[str, Any]) -> FunctionCall:
        """Start a call. A request that is repeated because its connection failed starts it once."""
        headers = {"Prefer": "respond-async", "Idempotency-Key": os.urandom(16).hex()}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        path = f"/handlers/{urllib.parse.quote(handler, safe='')}"
        _, handle = self._request("POST", path, headers, json.dumps(arguments).encode())
        return self.call(f"{handle['id']}:{handle['token']}")

    def call(self, object_id: str) -> FunctionCall:
        """Return the call with an id, which has the token of the job too."""
        job, _, token = object_id.partition(":")
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

        return FunctionCall(object_id, result, cancel)

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

    def __init__(self, endpoint: str, cost: float) -> None:
        self._endpoint = endpoint
        self._cost = cost

    def spawn(self, handler: str, arguments: Mapping[str, Any]) -> FunctionCall:
        """Start a call."""
        loop, done = asyncio.new_event_loop(), Future[Any]()
        task = loop.create_task(self._call(handler, dict(arguments)))

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

        threading.Thread(target=run, daemon=True).start()
        return FunctionCall(None, done.result, lambda: None if done.done() else _cancel(loop, task))

    async def _call(self, handler: str, arguments: dict[str, Any]) -> Any:
        """Call the handler, and return its result."""
        from vastai.serverless.client.client import Serverless

        async with Serverless() as client:
            endpoint = await client.get_endpoint(self._endpoint)
            answer = await endpoint.request(f"/handlers/{handler}", arguments, cost=self._cost)
        status, value = int(answer["status"]), answer["response"]
        if status >= 400:
            raise _error(status, json.dumps(value).encode())
        return value


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    """Cancel a task of a loop that runs in another thread. Its connection closes, which cancels the call."""
    loop.call_soon_threadsafe(task.cancel)


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
