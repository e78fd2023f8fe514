"""A handler for RunPod's own SDK that forwards each job to comfy-worker at GATEWAY_URL."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any

import runpod


def handler(job: dict[str, Any]) -> Any:
    """Return what the worker answers to the job's input."""
    url = os.environ["GATEWAY_URL"] + "/generate/sync"
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps({"input": job["input"]}).encode(), headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            return json.load(response)
    except urllib.error.HTTPError as error:
        body = json.load(error)
        return {"error": body["error"], "error_info": body["error_info"], "http": error.code}


if __name__ == "__main__":
    runpod.serverless.start({"handler": handler})
