"""Call a worker over HTTP as if it were a class of a Modal app, so that callers can move one by one.

    ComfyUI = comfy_caller.WorkerClass("https://worker.example.com", token, {"generate_flux": "generate_flux_image"})
    result = ComfyUI().generate_flux.remote(prompt="a lighthouse at dusk")
    call = ComfyUI().generate_flux.spawn(prompt="a fox")
    call.get(timeout=600)

The file needs only the standard library. `generate` and `run_workflow` are those of modal_app.py. Every other method
calls the handler of its name, or the one that the third argument gives for it.
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request

REQUEST_S = 3600
POLL_S = 0.5


class WorkerClass:
    """A worker in the place of `modal.Cls.from_name(...)`. Call it for an instance, as with Modal."""

    def __init__(self, url, token, handlers=None):
        self.url, self.token, self.handlers = url.rstrip("/"), token, dict(handlers or {})

    def __call__(self):
        return self

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return WorkerMethod(self, name)

    def request(self, method, path, body=None, headers=None):
        """Return the status and the JSON of a response, also of one that reports an error."""
        data = None if body is None else json.dumps(body).encode()
        fields = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.url + path, data=data, headers=fields, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_S) as answer:  # noqa: S310 - the caller's own URL
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


class WorkerMethod:
    """A method: `remote` waits for its result, `spawn` does not."""

    def __init__(self, worker, name):
        self.worker, self.name = worker, name

    def remote(self, **arguments):
        """Run the method, and return its result. Raises RuntimeError with the code and message of an error."""
        path, body = self._request(arguments, "/generate/sync")
        return result_of(*self.worker.request("POST", path, body))

    def spawn(self, **arguments):
        """Start the method, and return its call at once. Raises RuntimeError when the job is refused."""
        path, body = self._request(arguments, "/generate")
        accepted = result_of(*self.worker.request("POST", path, body, {"Prefer": "respond-async"}))
        return WorkerCall(self.worker, accepted["id"], accepted["token"])

    def _request(self, arguments, generate):
        """Return the path and the body of a request."""
        if self.name == "generate":
            return generate, {"template": arguments.pop("template"), "params": arguments}
        if self.name == "run_workflow":
            return generate, arguments
        handler = self.worker.handlers.get(self.name, self.name)
        return f"/handlers/{urllib.parse.quote(handler)}", arguments


class WorkerCall:
    """A call that was spawned, like `modal.FunctionCall`."""

    def __init__(self, worker, object_id, token):
        self.worker, self.object_id, self.token = worker, object_id, token

    def get(self, timeout=None):
        """Return the result. Raises TimeoutError when there is none after `timeout` seconds, and RuntimeError."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            status, answer = self._request("GET")
            if status != 202:
                return result_of(status, answer)
            if deadline is not None and time.monotonic() >= deadline:
                raise TimeoutError
            time.sleep(POLL_S)

    def cancel(self):
        """Cancel the job, and no other job of the worker."""
        self._request("DELETE")

    def _request(self, method):
        """Return the status and the body of a request about the job."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.worker.request(method, f"/jobs/{urllib.parse.quote(self.object_id)}", headers=headers)


def result_of(status, answer):
    """Return the result of a response. Raises RuntimeError with the code and message of an error."""
    if status >= 400:
        error = answer.get("error", {})
        raise RuntimeError(f"{error.get('code', status)}: {error.get('message', answer)}")
    return answer
