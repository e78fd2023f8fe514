"""A worker of the standard library, for the stand-in's pods: `python plain_pod.py` in the environment of a pod.

The input of a job says what it does: `{"op": "sleep", "s": 1}`, `{"op": "exit", "code": 3}`, `{"op": "stop"}` reports
`stopPod`, `{"op": "ignore"}` ignores SIGTERM from then on, and `{"op": "child"}` leaves a process behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from typing import Any

POD = os.environ["RUNPOD_POD_ID"]
TAKE = os.environ["RUNPOD_WEBHOOK_GET_JOB"].replace("$ID", POD)
DONE = os.environ["RUNPOD_WEBHOOK_POST_OUTPUT"].replace("$RUNPOD_POD_ID", POD)
PING = os.environ["RUNPOD_WEBHOOK_PING"].replace("$RUNPOD_POD_ID", POD)
INTERVAL_S = int(os.environ["RUNPOD_PING_INTERVAL"]) / 1000


def call(url: str, data: bytes | None = None) -> bytes:
    """Send a request, and return the body."""
    request = urllib.request.Request(url, data, {"Authorization": os.environ["RUNPOD_AI_API_KEY"]})  # noqa: S310 - the stand-in
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        return response.read()


def ping() -> None:
    """Send heartbeats."""
    while True:
        call(PING)
        time.sleep(INTERVAL_S)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Run a job, and return the body of its result."""
    given = job["input"]
    op = given.get("op")
    if op == "sleep":
        time.sleep(given["s"])
    elif op == "exit":
        os._exit(given["code"])
    elif op == "ignore":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif op == "child":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        return {"output": child.pid}
    return {"output": [POD, os.getpid()], **({"stopPod": True} if op == "stop" else {})}


def main() -> None:
    """Run jobs until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.Thread(target=ping, daemon=True).start()
    while True:
        body = call(f"{TAKE}&job_in_progress=0")
        if body:
            job = json.loads(body)
            call(DONE.replace("$ID", job["id"]) + "&isStream=false", json.dumps(run(job)).encode())


if __name__ == "__main__":
    main()
