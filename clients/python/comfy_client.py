"""Client of comfy-worker: runs jobs, follows their events, uploads files, and saves outputs.

Copy this file beside the code that calls. It needs Python 3.10 and its standard library only.

    from comfy_client import Client

    client = Client("https://worker.example.com", token="...")
    result = client.template("flux-schnell", {"prompt": "a harbour at dawn"})
    paths = client.save(result, "out")

Each method has an async form, such as `await client.template.aio("flux-schnell", {...})`. A request with a workflow is
`client.generate({"workflow": {...}}, files={"photo.png": Path("photo.png")})`. Errors are ComfyErrors with a code.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import random
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing, suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

RETRY_S, OUTAGE_S = 30.0, 300.0
"""Seconds for which a failed request is repeated: one that starts a job, and one about a job that has started."""
READ_S = 60.0
"""Seconds without any data after which a connection counts as lost. Event streams send some more often."""
POLL_S = 25
"""Seconds for which the worker holds one request that waits. Proxies often close a silent connection after 30 or 60."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
CHUNK = 1024 * 1024
LOST = (urllib.error.URLError, ConnectionError, TimeoutError, http.client.HTTPException)
TRANSIENT = frozenset({429, 502, 503, 504})
"""Statuses of pages of proxies after which a request is repeated."""
SIGNATURES = (
    *(("png", 1, b"PNG"), ("jpg", 0, b"\xff\xd8\xff"), ("gif", 0, b"GIF8"), ("webp", 8, b"WEBP"), ("wav", 8, b"WAVE")),
    *(("avif", 4, b"ftypavif"), ("mp4", 4, b"ftyp"), ("webm", 0, b"\x1aE\xdf\xa3"), ("flac", 0, b"fLaC")),
    *(("ogg", 0, b"OggS"), ("mp3", 0, b"ID3")),
)
"""Extensions of files, and the bytes that begin them at an offset."""
File = bytes | bytearray | os.PathLike[str]
Result = dict[str, Any]


class ComfyError(Exception):
    """A request or a job that failed. `code` is the worker's, such as `invalid_workflow` or `queue_full`.

    The client adds `connection_failed` (no response, or not all of it) and `bad_response` (a response that a worker
    does not send). `status` is the HTTP status, 0 without a response and in events. `fault` is `client`, `worker` or
    `job`. `details` has each problem with its node and input. `job_id` is None if the request failed before there was
    a job.
    """

    def __init__(self, code: str, message: str, status: int = 0, *, job_id: str | None = None, **fields: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.job_id = job_id
        self.fault: str = fields.get("fault") or "worker"
        self.retryable: bool = fields.get("retryable") is True
        self.retryable_elsewhere: bool = fields.get("retryable_elsewhere") is True
        self.details: list[dict[str, Any]] = fields.get("details") or []
        self.retry_after_s: float | None = fields.get("retry_after_s")


class Job(NamedTuple):
    """The id and the token of a job. Another process can wait for the job with them."""

    id: str
    token: str


class Event(NamedTuple):
    """An event of a job. `id` is its number, with which a stream resumes."""

    name: str
    id: str
    data: dict[str, Any]


class _Run:
    """The state of a job while its events are read."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.has_ended = False

    @property
    def unfinished(self) -> Job | None:
        """The job if it has not ended."""
        return None if self.has_ended else self.job


class Blocking:
    """A blocking method with an async form, `.aio`. Without one of its own, it runs the method in a thread."""

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


class Client:
    """A client of one worker, or of a proxy in front of several.

    `url` can have a path. `token` is one of the worker's tokens. `headers` are sent with every request. If they have
    `Authorization`, tokens are sent in `X-Worker-Token`. Raises ValueError for a URL without a scheme.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        retry_s: float = RETRY_S,
        outage_s: float = OUTAGE_S,
    ) -> None:
        self._http = _Http(url, token, headers or {}, retry_s)
        self._outage_s = outage_s

    def _generate(self, request: Mapping[str, Any], *, timeout: float | None = None, **options: Any) -> Result:
        """Run a job and return its result. After `timeout` seconds, and after Ctrl-C, the job is cancelled.

        `request` has `workflow`, or `template` and `params`, and other fields of the worker's API. `files` and `key`
        are those of `submit`. Raises ComfyError or TimeoutError.
        """
        options["key"] = options.get("key") or _new_key()
        for attempt in (1, 2):
            job = self._submit(request, **options)
            try:
                return self._wait(job, timeout=timeout)
            except ComfyError as error:
                if attempt == 2 or not _runs_again(error, job):
                    raise
                _pause(2, error)
            except BaseException:
                with suppress(Exception):
                    self._cancel(job)
                raise
        raise AssertionError("unreachable")

    async def _generate_aio(
        self, request: Mapping[str, Any], *, timeout: float | None = None, **options: Any
    ) -> Result:
        """Run a job and return its result. When the task is cancelled, cancel the job."""
        options["key"] = options.get("key") or _new_key()
        for attempt in (1, 2):
            submission = asyncio.ensure_future(self.submit.aio(request, **options))
            try:
                job = await asyncio.shield(submission)
                return await self.wait.aio(job, timeout=timeout)
            except ComfyError as error:
                if attempt == 2 or not submission.done() or submission.exception() or not _runs_again(error, job):
                    raise
                await asyncio.sleep(_pause_s(2, error))
            except (asyncio.CancelledError, TimeoutError):
                with suppress(Exception):
                    await self.cancel.aio(await submission)
                raise
        raise AssertionError("unreachable")

    def _template(
        self, name: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = None, **fields: Any
    ) -> Result:
        """Run a template with these parameters, as `generate` does. A file is `bytes` or a path (`pathlib.Path`)."""
        return self._generate({"template": name, "params": params or {}, **fields}, timeout=timeout)

    async def _template_aio(
        self, name: str, params: Mapping[str, Any] | None = None, *, timeout: float | None = None, **fields: Any
    ) -> Result:
        """Run a template with these parameters. When the task is cancelled, cancel the job."""
        return await self._generate_aio({"template": name, "params": params or {}, **fields}, timeout=timeout)

    def _submit(
        self, request: Mapping[str, Any], *, files: Mapping[str, File] | None = None, key: str | None = None
    ) -> Job:
        """Start a job and return its handle at once. The job goes on without the client.

        `files` are input files by the names that the workflow uses: bytes, or paths (`pathlib.Path`). The same request
        with the same `key` returns the same job. The client draws a key by default.
        """
        body = _Body.of(request, files or {})
        answer = self._http.json("POST", "/generate", body, headers={"Idempotency-Key": key or _new_key()})
        return Job(answer["id"], answer["token"])

    def _wait(self, job: Job, *, timeout: float | None = None) -> Result:
        """Wait for the end of a job and return its result. Raises TimeoutError after `timeout` seconds."""
        result: Result = json.loads(self._end(job, timeout)[1])
        return result

    def _status(self, job: Job) -> Result:
        """Return the state of a job (`status` is `pending`), or else its result. Raises the error of a failed job."""
        return self._http.json("GET", _path(job), **self._about(job))

    def _cancel(self, job: Job) -> Result:
        """Cancel a job. A job that has ended is not affected."""
        return self._http.json("DELETE", _path(job), **self._about(job))

    def _stream(self, request: Mapping[str, Any], **options: Any) -> Iterator[Event]:
        """Run a job and yield its events. The last one is `result`. If the loop is left before it, cancel the job.

        `files` and `key` are those of `submit`. Raises the error of a job that has failed.
        """
        run = _Run()
        try:
            yield from self._run_events(run, request, **options)
        finally:
            if job := run.unfinished:
                with suppress(Exception):
                    self._cancel(job)

    def _run_events(
        self, run: _Run, request: Mapping[str, Any], *, files: Mapping[str, File] | None = None, key: str | None = None
    ) -> Iterator[Event]:
        """Start a job and yield its events. Its handle and its end are stored in `run`."""
        body, headers = _Body.of(request, files or {}), {"Idempotency-Key": key or _new_key()}

        def connect(after: str) -> Any:
            """Return the response with the events after one of them."""
            if run.job is None:
                return self._http.open("POST", "/generate/stream", body, headers=headers)
            return self._http.open("GET", f"{_path(run.job)}/events", headers=_last(after), **self._about(run.job))

        try:
            for event in self._follow(connect, ""):
                if event.name == "accepted":
                    run.job = Job(event.data["id"], event.data["token"])
                run.has_ended = event.name == "result"
                yield event
        except ComfyError as error:
            run.has_ended = error.code != "connection_failed"
            raise

    def _events(self, job: Job, *, after: str = "") -> Iterator[Event]:
        """Yield the events of a job, past and future, or those after an event. If the loop is left, the job goes on."""
        path = f"{_path(job)}/events"
        return self._follow(lambda last: self._http.open("GET", path, headers=_last(last), **self._about(job)), after)

    async def _stream_aio(self, request: Mapping[str, Any], **options: Any) -> AsyncIterator[Event]:
        """Run a job and yield its events. If the loop is left or its task is cancelled, cancel the job."""
        run = _Run()
        try:
            async for event in _in_steps(self._run_events(run, request, **options)):
                yield event
        finally:
            if job := run.unfinished:
                with suppress(Exception):
                    await self.cancel.aio(job)

    def _events_aio(self, job: Job, *, after: str = "") -> AsyncIterator[Event]:
        """Yield the events of a job. If the loop is left, the job goes on."""
        return _in_steps(self._events(job, after=after))

    def _handler(self, name: str, *, key: str | None = None, timeout: float | None = None, **arguments: Any) -> Any:
        """Call a handler of the worker and return its result: the value of its JSON, or its bytes.

        After `timeout` seconds, and after Ctrl-C, the call is cancelled. Raises ComfyError or TimeoutError.
        """
        job = self._spawn(name, key, arguments)
        try:
            media_type, data = self._end(job, timeout)
        except ComfyError:
            raise
        except BaseException:
            with suppress(Exception):
                self._cancel(job)
            raise
        return json.loads(data) if media_type == "application/json" else data

    async def _handler_aio(self, name: str, *, timeout: float | None = None, **options: Any) -> Any:
        """Call a handler of the worker and return its result. When the task is cancelled, cancel the call."""
        key = options.pop("key", None)
        submission = asyncio.ensure_future(_in_thread(self._spawn, name, key, options))
        try:
            media_type, data = await _in_thread(self._end, await asyncio.shield(submission), timeout)
        except (asyncio.CancelledError, TimeoutError):
            with suppress(Exception):
                await self.cancel.aio(await submission)
            raise
        return json.loads(data) if media_type == "application/json" else data

    def _download(self, output: Mapping[str, Any]) -> bytes:
        """Return the content of an output: the bytes of its file, or its text in UTF-8."""
        if output.get("data"):
            return base64.b64decode(output["data"])
        if isinstance(output.get("text"), str):
            return str(output["text"]).encode()
        _, data = self._http.read("GET", output["url"])
        if len(data) != output["bytes"]:
            raise ComfyError("bad_response", f"GET {output['url']}: {len(data)} bytes instead of {output['bytes']}")
        return data

    def _save(self, result: Mapping[str, Any], folder: str | os.PathLike[str]) -> list[Path]:
        """Write the outputs of a result to a folder, and return the paths. A file of the same name is replaced."""
        paths = []
        for output in result["outputs"]:
            path = Path(folder, *_parts(output))
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
                temporary = Path(file.name)
                file.write(self._download(output))
            temporary.chmod(0o644)
            temporary.replace(path)
            paths.append(path)
        return paths

    def _validate(self, request: Mapping[str, Any]) -> Result:
        """Check a request as the worker would, and run nothing."""
        return self._http.json("POST", "/validate", _Body.of(request, {}))

    def _templates(self) -> list[Result]:
        """Return the templates of the worker."""
        return list(self._http.json("GET", "/templates")["templates"])

    def _describe_template(self, name: str) -> Result:
        """Return one template with the JSON Schema of its parameters."""
        return self._http.json("GET", f"/templates/{urllib.parse.quote(name, safe='')}")

    generate = Blocking(_generate, _generate_aio)
    template = Blocking(_template, _template_aio)
    submit = Blocking(_submit)
    wait = Blocking(_wait)
    status = Blocking(_status)
    cancel = Blocking(_cancel)
    stream = Blocking(_stream, _stream_aio)
    events = Blocking(_events, _events_aio)
    handler = Blocking(_handler, _handler_aio)
    download = Blocking(_download)
    save = Blocking(_save)
    validate = Blocking(_validate)
    templates = Blocking(_templates)
    describe_template = Blocking(_describe_template)

    def _spawn(self, name: str, key: str | None, arguments: Mapping[str, Any]) -> Job:
        """Start a call of a handler, and return its handle at once."""
        headers = {"Prefer": "respond-async", "Idempotency-Key": key or _new_key()}
        path = f"/handlers/{urllib.parse.quote(name, safe='')}"
        answer = self._http.json("POST", path, _Body.json(_encoded(arguments)), headers=headers)
        return Job(answer["id"], answer["token"])

    def _end(self, job: Job, timeout: float | None) -> tuple[str, bytes]:
        """Wait for the end of a job, and return media type and bytes of its result."""
        deadline, early = None if timeout is None else time.monotonic() + timeout, 0
        while True:
            left_s = POLL_S if deadline is None else min(POLL_S, deadline - time.monotonic())
            if left_s <= 0:
                raise TimeoutError(f"the job {job.id} has not ended within {timeout} s")
            start = time.monotonic()
            hold_s = int(left_s)
            headers = {"Prefer": f"wait={hold_s}"} if hold_s else {}
            status, media_type, data = self._http.respond("GET", _path(job), headers=headers, **self._about(job))
            if status != 202:
                return media_type, data
            if not hold_s:
                time.sleep(left_s)
                continue
            # A server that does not know `Prefer` responds at once.
            early = early + 1 if time.monotonic() - start < min(1.0, left_s / 2) else 0
            if early:
                _pause(min(early - 1, 3))

    def _follow(self, connect: Callable[[str], Any], after: str) -> Iterator[Event]:
        """Yield the events of streams until the result. Each stream continues after the last event so far."""
        failures, end = 0, time.monotonic() + self._outage_s
        while True:
            start, reason = time.monotonic(), "the stream has ended before the result"
            with closing(connect(after)) as response:
                try:
                    for event in _events_in(response):
                        if event.name == "result" and (error := _error_in(event.data, 0)):
                            raise error
                        after = event.id or after
                        failures, end = 0, time.monotonic() + self._outage_s
                        yield event
                        if event.name == "result":
                            return
                except LOST as error:
                    reason = str(error)
            if time.monotonic() - start > 5:  # the worker responds
                end = time.monotonic() + self._outage_s
            if time.monotonic() > end:
                raise ComfyError("connection_failed", f"the events of the job: {reason}", retryable=True)
            _pause(min(failures, 4))
            failures += 1

    def _about(self, job: Job) -> dict[str, Any]:
        """Return the options of a request about a job."""
        return {"token": job.token, "job_id": job.id, "retry_s": self._outage_s}


class _Call(NamedTuple):
    """A request. `token` is that of a job. `job_id` names the job whose own error is a result, and not repeated."""

    method: str
    path: str
    body: _Body | None = None
    headers: Mapping[str, str] = {}
    token: str | None = None
    job_id: str | None = None
    retry_s: float | None = None


class _Http:
    """Sends requests to a worker, and repeats those that failed for a reason that passes."""

    def __init__(self, url: str, token: str | None, headers: Mapping[str, str], retry_s: float) -> None:
        parts = urllib.parse.urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no URL: write it with its scheme, like http://127.0.0.1:18288")
        if parts.query or parts.fragment or parts.username:
            raise ValueError(f"{url!r} must have no ?, no # and no user: use `token` or `headers`")
        self._url = url.strip().rstrip("/")
        self._token = token
        self._headers = dict(headers)
        self._retry_s = retry_s
        self._is_taken = any(name.lower() == "authorization" for name in headers)

    def json(self, method: str, path: str, body: _Body | None = None, **options: Any) -> dict[str, Any]:
        """Send a request and return the JSON object of the response. Raises ComfyError."""
        status, media_type, data = self.respond(method, path, body, **options)
        value = _parsed(data)
        if not isinstance(value, dict):
            raise _bad_response(f"{method} {self._where(path)}", status, media_type, data)
        return value

    def read(self, method: str, path: str) -> tuple[str, bytes]:
        """Send a request and return media type and bytes of the response. Raises ComfyError."""
        return self.respond(method, path)[1:]

    def respond(self, method: str, path: str, body: _Body | None = None, **options: Any) -> tuple[int, str, bytes]:
        """Send a request and return status, media type and bytes of the response. Raises ComfyError."""

        def consume(response: Any) -> tuple[int, str, bytes]:
            """Read the response to its end."""
            with response:
                data = response.read()
                if not data:
                    _check_head(response)
                return response.status, response.headers.get_content_type(), data

        answer: tuple[int, str, bytes] = self._repeat(consume, _Call(method, path, body, **options))
        return answer

    def open(self, method: str, path: str, body: _Body | None = None, **options: Any) -> Any:
        """Send a request and return the response with its events. Raises ComfyError."""

        def consume(response: Any) -> Any:
            """Check the type of the response."""
            media_type = response.headers.get_content_type()
            if media_type != "text/event-stream":
                with response:
                    _check_head(response)
                    raise _bad_response(f"{method} {self._where(path)}", response.status, media_type, b"")
            return response

        return self._repeat(consume, _Call(method, path, body, **options))

    def _repeat(self, consume: Callable[[Any], Any], call: _Call) -> Any:
        """Send a request until `consume` has returned something, or an error occurs that is not repeated."""
        end, attempt = time.monotonic() + (self._retry_s if call.retry_s is None else call.retry_s), 0
        url, where = self._where(call.path, with_query=True), f"{call.method} {self._where(call.path)}"
        while True:
            headers = {**(call.body.headers if call.body else {}), **call.headers, **self._login(url, call.token)}
            data = call.body.chunks() if call.body else None
            request = urllib.request.Request(url, data, headers, method=call.method)
            try:
                return consume(urllib.request.urlopen(request, timeout=READ_S))
            except urllib.error.HTTPError as response:
                with response:
                    error = _error_of(where, response)
            except LOST as lost:
                error = _connection_failed(where, lost)
            is_of_job = call.job_id is not None and error.job_id == call.job_id
            pause_s = _pause_s(attempt, error)
            if not error.retryable or is_of_job or time.monotonic() + pause_s > end:
                raise error
            time.sleep(pause_s)
            attempt += 1

    def _where(self, path: str, *, with_query: bool = False) -> str:
        """Return the URL of a path, which can be a complete URL."""
        url = path if path.startswith(("http://", "https://")) else self._url + path
        return url if with_query else url.partition("?")[0]

    def _login(self, url: str, token: str | None) -> dict[str, str]:
        """Return the headers of the client. Tokens go to the origin of the worker only."""
        if urllib.parse.urlsplit(url)[:2] != urllib.parse.urlsplit(self._url)[:2]:
            return {}
        token = token or self._token
        if not token:
            return self._headers
        login = {"X-Worker-Token": token} if self._is_taken else {"Authorization": f"Bearer {token}"}
        return {**self._headers, **login}


class _Body:
    """A body that can be sent several times: JSON, or a form with files that are read while they are sent."""

    def __init__(self, parts: list[bytes | Path], media_type: str) -> None:
        self._parts = parts
        size = sum(part.stat().st_size if isinstance(part, Path) else len(part) for part in parts)
        self.headers = {"Content-Type": media_type, "Content-Length": str(size)}

    @classmethod
    def json(cls, value: object) -> _Body:
        """Return a body with JSON. Raises ValueError for NaN, which is no JSON."""
        return cls([json.dumps(value, allow_nan=False).encode()], "application/json")

    @classmethod
    def of(cls, request: Mapping[str, Any], given: Mapping[str, File]) -> _Body:
        """Return the body of a request that starts a job. Files among its `params` become parts, as `given` ones."""
        files = dict(given)
        fields = dict(request)
        if isinstance(fields.get("params"), Mapping):
            fields["params"] = _with_names(fields["params"], "", files)
        if not files:
            return cls.json(fields)
        boundary = os.urandom(16).hex()
        parts: list[bytes | Path] = []
        for name, content in (("request", json.dumps(fields, allow_nan=False).encode()), *files.items()):
            filename = "" if name == "request" else f'; filename="{_quoted(name)}"'
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"{filename}\r\n\r\n'
            data = bytes(content) if isinstance(content, (bytes, bytearray)) else Path(content)
            parts += [head.encode(), data, b"\r\n"]
        return cls([*parts, f"--{boundary}--\r\n".encode()], f"multipart/form-data; boundary={boundary}")

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes."""
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            with part.open("rb") as file:
                while chunk := file.read(CHUNK):
                    yield chunk


def _with_names(value: Any, path: str, files: dict[str, File]) -> Any:
    """Return a value in which each file is replaced by a name, under which it is added to `files`."""
    if isinstance(value, (bytes, bytearray, os.PathLike)):
        name = f"{path}{_extension(value)}"
        while name in files:
            name = f"_{name}"
        files[name] = value
        return name
    prefix = f"{path}-" if path else ""
    if isinstance(value, Mapping):
        return {key: _with_names(item, f"{prefix}{key}", files) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_names(item, f"{prefix}{index}", files) for index, item in enumerate(value)]
    return value


def _extension(content: File) -> str:
    """Return the extension of a file with its dot. Nodes choose by it how they read the file."""
    if not isinstance(content, (bytes, bytearray)):
        return Path(content).suffix.lower()
    found = (name for name, offset, signature in SIGNATURES if content.startswith(signature, offset))
    return f".{name}" if (name := next(found, "")) else ""


def _quoted(name: str) -> str:
    """Return the name of a part, as browsers write it."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _encoded(value: Any) -> Any:
    """Return arguments as JSON values. Bytes have the form in which a worker reads and returns them."""
    if isinstance(value, (bytes, bytearray)):
        return {"media_type": "application/octet-stream", "data": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {key: _encoded(entry) for key, entry in value.items()}
    return [_encoded(entry) for entry in value] if isinstance(value, (list, tuple)) else value


async def _in_steps(events: Iterator[Event]) -> AsyncIterator[Event]:
    """Yield the items of a blocking iterator, each of which is awaited in a thread."""
    end = object()
    while (event := await _in_thread(next, events, end)) is not end:
        yield event


def _events_in(lines: Iterable[bytes]) -> Iterator[Event]:
    """Yield the events in the lines of a stream. An event that the stream cuts off is not yielded."""
    name, number, data = "", "", []
    for line in lines:
        field, _, value = line.rstrip(b"\r\n").partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode()
        elif field == b"id":
            number = value.decode()
        elif not line.strip(b"\r\n"):
            if data and line.endswith(b"\n"):
                yield Event(name, number, json.loads(b"\n".join(data)))
            name, data = "", []


def _runs_again(error: ComfyError, job: Job) -> bool:
    """Return whether a job has failed because of its worker, and may be sent again with the same key."""
    return error.job_id == job.id and error.status == 503 and error.retryable


def _path(job: Job) -> str:
    """Return the path of a job."""
    return f"/jobs/{urllib.parse.quote(job.id, safe='')}"


def _last(event_id: str) -> dict[str, str]:
    """Return the header with which a stream resumes after an event."""
    return {"Last-Event-ID": event_id} if event_id else {}


def _parts(output: Mapping[str, Any]) -> list[str]:
    """Return the parts of the path of an output below a folder. None of them leads out of it."""
    text = f"{output.get('subfolder') or ''}/{output.get('filename') or output['index']}".replace("\\", "/")
    parts = [part.replace(":", "_") for part in PurePosixPath(text).parts if part not in ("/", "//", "..", ".")]
    return parts or [str(output["index"])]


def _new_key() -> str:
    """Return a new key for a request."""
    return os.urandom(16).hex()


def _pause_s(attempt: int, error: ComfyError | None = None) -> float:
    """Return the seconds before the next attempt: twice the last ones, with jitter, after those of the worker."""
    longest_s = min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S)
    after_s = error.retry_after_s if error else None
    return (after_s or 0.0) + longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def _pause(attempt: int, error: ComfyError | None = None) -> None:
    """Wait before the next attempt."""
    time.sleep(_pause_s(attempt, error))


def _check_head(response: Any) -> None:
    """Raise ConnectionError if the head of a response was cut off. `http.client` takes its first lines for all."""
    if not {"Content-Length", "Transfer-Encoding"} & set(response.headers.keys()):
        raise ConnectionError("the response was cut off")


def _connection_failed(where: str, lost: Exception) -> ComfyError:
    """Return the exception for a request without a complete response."""
    reason = getattr(lost, "reason", lost)
    text = f"{where}: the connection failed: {reason or type(lost).__name__}"
    return ComfyError("connection_failed", text, retryable=True, retryable_elsewhere=True)


def _error_of(where: str, response: urllib.error.HTTPError) -> ComfyError:
    """Return the exception for a response with a status of 400 and more."""
    try:
        data = response.read()
    except LOST as lost:
        return _connection_failed(where, lost)
    try:
        retry_after_s = float(response.headers.get("Retry-After", ""))
    except ValueError:
        retry_after_s = None
    error = _error_in(_parsed(data), response.code, retry_after_s)
    return error or _bad_response(where, response.code, response.headers.get_content_type(), data)


def _error_in(value: Any, status: int, retry_after_s: float | None = None) -> ComfyError | None:
    """Return the exception for the body of an error, or None if the body is not a worker's."""
    fields = value.get("error") if isinstance(value, dict) else None
    if not isinstance(fields, dict) or not {"code", "message"} <= fields.keys():
        return None
    code, message = str(fields["code"]), str(fields["message"])
    others = {name: field for name, field in fields.items() if name not in ("code", "message", "status", "job_id")}
    return ComfyError(code, message, status, job_id=value.get("id"), **{**others, "retry_after_s": retry_after_s})


def _bad_response(where: str, status: int, media_type: str, data: bytes) -> ComfyError:
    """Return the exception for a response that is not a worker's."""
    start = data[:500].decode(errors="replace").strip()[:200]
    text = (
        f"{where}: the response has status {status} and the type {media_type}, and is no JSON of a worker. Check that "
        f"the URL is that of a worker. It begins: {start}"
    )
    fault = "client" if 400 <= status < 500 and status != 429 else "worker"
    return ComfyError("bad_response", text, status, fault=fault, retryable=status in TRANSIENT)


def _parsed(data: bytes) -> Any:
    """Return the JSON value of a body, or None."""
    try:
        return json.loads(data)
    except ValueError:
        return None
