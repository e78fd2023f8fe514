"""A minimal handler for RunPod's own SDK, which sends each job to a worker: `python sdk_handler.py URL`.

It runs in the environment of the SDK, so it imports nothing of this project.
"""

import json
import sys
from typing import Any
from urllib.request import Request, urlopen

import runpod  # type: ignore[import-not-found]

URL = sys.argv.pop(1)


def run(job: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Send the input of a job to /generate/sync, and return the response."""
    body = json.dumps({"input": job["input"]}).encode()
    with urlopen(Request(f"{URL}/generate/sync", body, {"Content-Type": "application/json"})) as answer:
        return json.load(answer)


if __name__ == "__main__":
    runpod.serverless.start({"handler": run})
