"""ComfyUI on Modal: the image of comfy-worker, with a method for each kind of job and an HTTP server.

    modal secret create comfy-worker WORKER_TOKENS=me=a-long-random-token
    COMFY_WORKER_IMAGE=ghcr.io/you/comfy-worker@sha256:... modal deploy modal_app.py

Modal's Python runs this file on your machine and in the container. It has only `modal` and the standard library.
The worker is a process of its own, with its own Python: /opt/comfy-worker in the image.
"""

import asyncio
import base64
import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import modal

IMAGE = os.environ.get("COMFY_WORKER_IMAGE", "ghcr.io/you/comfy-worker@sha256:" + 64 * "0")
APP_NAME = os.environ.get("COMFY_WORKER_APP", "comfy-worker")
GPU = os.environ.get("COMFY_WORKER_GPU", "L40S")
WEB_SERVER = os.environ.get("COMFY_WORKER_WEB_SERVER", "1") == "1"
"""Whether the worker's HTTP API is reachable at a URL. Its callers need a token of WORKER_TOKENS."""
SNAPSHOT = False
"""Memory snapshots. Read docs/modal.md before you switch them on."""

PORT = 18288
TIMEOUT_S = 3600
"""Longest call. The worker's own limit for a job is a little shorter, so that its error reaches the caller."""
START_S = int(os.environ.get("COMFY_WORKER_START", "900"))
"""Longest start of a container: ComfyUI, and the models that are downloaded before the first job."""
DRAIN_S = 20
"""Seconds for running jobs after Modal takes a container away. Modal kills the container after 30 s."""
MAX_INPUTS = 20
"""Open requests of a container, with those that only wait or read progress."""
TARGET_INPUTS = 2
"""Jobs of a container before Modal starts another one: one that runs, and one that is prepared."""

ENVIRONMENT = {
    "COMFY_WORKER_WEB_SERVER": str(int(WEB_SERVER)),
    "COMFY_WORKER_START": str(START_S),
    "WORKER_PLATFORM": "modal",
    "WORKER_SYNC_LIMIT": "0",
    "WORKER_DRAIN": str(DRAIN_S),
    "WORKER_JOB_TIMEOUT": str(TIMEOUT_S - 60),
    "WORKER_MODELS_FOLDER": "/models",
    "WORKER_STATE": "/tmp/comfy-worker",  # noqa: S108 - every user may write there
}
"""Settings of the worker (docs/settings.md). Those of the secret `comfy-worker` are added."""

app = modal.App(APP_NAME)
models = modal.Volume.from_name("comfy-models", create_if_missing=True)


def worker_image() -> modal.Image:
    """Return the image of comfy-worker, with a Python for this file. Its ENTRYPOINT is removed, as Modal requires."""
    image = modal.Image.from_registry(IMAGE, add_python="3.12").entrypoint([])
    return image.env({"PYTHONSAFEPATH": ""})  # otherwise Modal's Python would not find this file


OPTIONS = {
    "gpu": GPU,
    "volumes": {"/models": models},
    "secrets": [modal.Secret.from_name("comfy-worker", required_keys=["WORKER_TOKENS"])],
    "env": ENVIRONMENT,
    "timeout": TIMEOUT_S,
    "startup_timeout": START_S,
    "scaledown_window": 300,
    "retries": 0,
    "enable_memory_snapshot": SNAPSHOT,
}
"""Options of `@app.cls`. There are no retries, because a workflow that fails would fail again and cost the same."""


class Worker:
    """A worker in this container. A subclass with `@app.cls` has the methods that callers see."""

    @modal.enter(snap=SNAPSHOT)
    async def before_snapshot(self) -> None:
        """Do what a memory snapshot may contain: nothing, because the worker has tokens, sockets and random seeds."""

    @modal.enter()
    async def start(self) -> None:
        """Start the worker, and wait until it is ready. Raises RuntimeError with the reason when it does not start."""
        self._token = secrets.token_hex(32)
        self._process = start_process(self._token)
        try:
            await self._wait_until_ready()
        except BaseException:
            await stop_process(self._process)
            raise

    @modal.exit()
    async def stop(self) -> None:
        """Let running jobs finish for DRAIN_S seconds, then end the worker."""
        await stop_process(self._process)

    async def call(self, path: str, body: dict) -> object:
        """Send a request to the worker, and return its response: JSON or bytes. An error is a value."""
        status, answer = await self.exchange(path, body)
        if status < 400:
            return answer
        return {"status": "error", **(answer if isinstance(answer, dict) else {"error": {"code": str(status)}})}

    @modal.method()
    async def request(self, body: dict, comfy_org_api_key: str = "") -> dict:
        """Return `{"status", "body"}` of the worker's response to any body of /generate/sync, also for an error.

        This is what the backend `modal://APP/CLASS` calls.
        """
        key = {"X-Comfy-Org-Api-Key": comfy_org_api_key} if comfy_org_api_key.isprintable() else {}
        status, answer = await self.exchange("/generate/sync", body, key)
        return {"status": status, "body": answer}

    async def exchange(self, path: str, body: dict, headers: dict | None = None) -> tuple:
        """Send a request to the worker, and return the status and the body of its response: JSON or bytes.

        When the call is canceled, cancel the job. The id of the Modal input is the id of the job, so that an input
        that runs again finds its job.
        """
        job = modal.current_input_id() or secrets.token_hex(16)
        try:
            return await self._request("POST", path, body, {**(headers or {}), "Idempotency-Key": job})
        except asyncio.CancelledError:
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                await asyncio.wait_for(self._request("DELETE", f"/jobs/{urllib.parse.quote(job)}"), 5)
            raise
        except OSError as error:
            modal.experimental.stop_fetching_inputs()  # this container is of no more use
            raise RuntimeError(f"worker_gone: the worker of this container does not respond: {error}") from error

    async def handler(self, name: str, **arguments: object) -> object:
        """Return the result of a handler of your app. Raises RuntimeError with the error's code and message."""
        return result_of(await self.call(f"/handlers/{urllib.parse.quote(name)}", arguments))

    def json_app(self, handlers: dict | None = None):
        """Return an ASGI app for `POST /`: JSON in, JSON out, like `@modal.fastapi_endpoint`.

        `{"handler": NAME, ...}` calls a handler. `handlers` maps names of requests to those of functions. Any other
        body is one of /generate/sync. FastAPI is not needed, which this image does not have for Modal's Python.
        """

        async def answer(item: dict) -> object:
            if name := item.pop("handler", None):
                return await self.handler((handlers or {}).get(name, name), **item)
            return await self.call("/generate/sync", item)

        async def asgi(scope, receive, send):
            if scope["type"] == "http":
                await serve_json(answer, scope, receive, send)

        return asgi

    async def _wait_until_ready(self) -> None:
        """Wait for the worker. Raises RuntimeError when it ends, or is not ready shortly before START_S is over."""
        deadline, reason = time.monotonic() + START_S - 30, "it does not listen"
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"comfy-worker ended with code {self._process.returncode}: its log says why")
            with contextlib.suppress(OSError):
                status, answer = await self._request("GET", "/ready")
                if status == 200:
                    return
                reason = f"/ready returns {status}: {answer}"
            await asyncio.sleep(0.5)
        raise RuntimeError(f"comfy-worker was not ready after {START_S - 30} s: {reason}")

    async def _request(self, method: str, path: str, body: dict | None = None, headers: dict | None = None) -> tuple:
        """Return the status and the body of a response: the value of JSON, or bytes.

        With HTTP/1.0, the body ends with the connection.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", worker_port())
        try:
            data = b"" if body is None else json.dumps(body, default=encoded).encode()
            fields = {
                "Host": "127.0.0.1",
                "Authorization": f"Bearer {self._token}",
                "Content-Type": "application/json",
                "Content-Length": str(len(data)),
                **(headers or {}),
            }
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"{method} {path} HTTP/1.0\r\n{head}\r\n".encode() + data)
            await writer.drain()
            raw = await reader.read()
        finally:
            writer.close()
        start, _, content = raw.partition(b"\r\n\r\n")
        if not start:
            raise ConnectionResetError("the worker closed the connection without a response")
        is_json = b"\r\ncontent-type: application/json" in start.lower()
        return int(start.split()[1]), json.loads(content) if is_json else content


def start_process(token: str) -> subprocess.Popen:
    """Start the worker. `token` is the one with which the methods of this container call it."""
    command = os.environ.get("COMFY_WORKER_COMMAND", "/opt/comfy-worker/bin/comfy-worker").split()
    folder = Path(__file__).parent
    has_handlers = (folder / "handlers").is_dir()
    handlers = {"WORKER_HANDLERS": str(folder), "WORKER_HANDLERS_PYTHON": sys.executable} if has_handlers else {}
    environ = {
        **handlers,
        **os.environ,
        "WORKER_TOKENS": ",".join(filter(None, [os.environ.get("WORKER_TOKENS"), f"modal-method={token}"])),
        "WORKER_GATEWAY_HOST": "0.0.0.0" if WEB_SERVER else "127.0.0.1",  # noqa: S104 - web_server needs it
        "WORKER_GATEWAY_PORT": str(worker_port()),
    }
    environ.pop("PYTHONPATH", None)
    # In a session of its own, so that a signal for the whole container does not end its jobs at once.
    return subprocess.Popen([*command, "serve"], env=environ, start_new_session=True)


async def stop_process(process: subprocess.Popen) -> None:
    """Let the worker drain, and kill it when it takes longer."""
    process.terminate()
    try:
        await asyncio.to_thread(process.wait, DRAIN_S + 5)
    except subprocess.TimeoutExpired:
        process.kill()


def worker_port() -> int:
    """Return the port of the worker in this container."""
    return int(os.environ.get("COMFY_WORKER_PORT", PORT))


def result_of(answer: object) -> object:
    """Return the response of a handler. Raises RuntimeError for an error: callers everywhere can unpickle it."""
    if isinstance(answer, dict) and answer.get("status") == "error" and isinstance(answer.get("error"), dict):
        raise RuntimeError(f"{answer['error'].get('code')}: {answer['error'].get('message')}")
    return answer


def encoded(value: object) -> dict:
    """Return bytes in an argument as a JSON value, in the form in which the worker reads and returns them."""
    if isinstance(value, bytes):
        return {"media_type": "application/octet-stream", "data": base64.b64encode(value).decode()}
    raise TypeError(f"an argument of type {type(value).__name__} cannot be sent as JSON")


async def serve_json(answer, scope, receive, send):
    """Answer one HTTP request with the result of `answer` for its JSON body."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    try:
        if scope["method"] != "POST":
            status, result = 405, {"status": "error", "error": {"code": "method", "message": "send a POST"}}
        else:
            result = await answer(json.loads(body))
            status = 422 if isinstance(result, dict) and result.get("status") == "error" else 200
    except (ValueError, TypeError, RuntimeError) as error:
        status, result = 400, {"status": "error", "error": {"code": "invalid_request", "message": str(error)}}
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(result).encode()})


@app.cls(image=worker_image(), **OPTIONS)
@modal.concurrent(max_inputs=MAX_INPUTS, target_inputs=TARGET_INPUTS)
class ComfyUI(Worker):
    """The methods that callers see. All are `async`: only then can Modal cancel one input without its neighbors."""

    @modal.method()
    async def generate(self, template: str, **parameters) -> dict:
        """Run a template of the worker: `generate(template="flux-schnell", prompt="a fox")`."""
        return await self.call("/generate/sync", {"template": template, "params": parameters})

    @modal.method()
    async def run_workflow(self, workflow: dict, inputs: dict | None = None, **options) -> dict:
        """Run a workflow. `inputs` maps file names to base64 or URLs, and `options` are those of /generate/sync."""
        return await self.call("/generate/sync", {"workflow": workflow, "inputs": inputs or {}, **options})

    @modal.method()
    async def run_handler(self, name: str, **arguments) -> object:
        """Run a handler of your app by its name."""
        return await self.handler(name, **arguments)

    @modal.asgi_app(requires_proxy_auth=True)
    def api(self):
        """Serve `POST /` with `{"template": ...}`, `{"workflow": ...}` or `{"handler": NAME, ...}`."""
        return self.json_app()

    if WEB_SERVER:

        @modal.web_server(PORT, startup_timeout=30)
        def http(self):
            """Serve the worker's own HTTP API: docs/http.md. The worker listens already when Modal calls this."""
