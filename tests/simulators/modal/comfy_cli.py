"""The two commands of comfy-cli that public Modal apps use, `comfy launch` and `comfy run`, with a worker as ComfyUI.

`comfy launch --background -- --port PORT` starts a worker with ComfyUI's API and the embedded engine, and waits for it.
`comfy run --workflow FILE --wait` runs a prompt on it, and writes its files to the folder in COMFY_OUTPUT.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlencode

from worker.subcommand import worker_command

START_S = 40.0
PORT_FILE = Path(os.environ["COMFY_OUTPUT"]).parent / "port"


def launch(arguments: list[str]) -> None:
    """Start a worker. With `--background`, wait until it is ready, otherwise until it ends."""
    port = arguments[arguments.index("--port") + 1]
    settings = {"WORKER_COMFY_API": "1", "WORKER_PLATFORM": "none"}
    process = subprocess.Popen([*worker_command(), "serve", "--port", port], env={**os.environ, **settings})
    if "--background" not in arguments:
        sys.exit(process.wait())
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        try:
            get(port, "/ready")
            PORT_FILE.write_text(port)
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("the worker did not start")


def run(arguments: list[str]) -> None:
    """Run the prompt of a file, and write its files."""
    prompt = json.loads(Path(arguments[arguments.index("--workflow") + 1]).read_text("utf-8"))
    port, body = PORT_FILE.read_text("utf-8"), json.dumps({"prompt": prompt}).encode()
    answer = json.loads(get(port, "/prompt", body))
    for output in answer["history"][answer["prompt_id"]]["outputs"].values():
        for image in output["images"]:
            path = Path(os.environ["COMFY_OUTPUT"], image["filename"])
            path.write_bytes(get(port, "/view?" + urlencode(image)))


def get(port: str, path: str, body: bytes | None = None) -> bytes:
    """Return the body of a response, for a prompt when it has ended."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, {"Prefer": "wait=60"})
    with urllib.request.urlopen(request) as response:  # noqa: S310 - http only
        return response.read()


if __name__ == "__main__":
    {"launch": launch, "run": run}[sys.argv[1]](sys.argv[2:])
