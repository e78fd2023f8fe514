"""A handler for RunPod's own SDK: `python plain_handler.py [CONCURRENCY] [refresh]`.

`op` in the input of a job says what it does.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import runpod


async def handler(job: dict[str, Any]) -> Any:
    """Run a job."""
    given = job["input"]
    op = given.get("op")
    if op == "sleep":
        await asyncio.sleep(given["s"] + given.get("more", 0))
        return {"slept": given["s"]}
    if op == "raise":
        raise RuntimeError("boom " + given.get("x", ""))
    if op == "progress":
        for step in range(given["n"]):
            runpod.serverless.progress_update(job, f"step {step}")
        return {"done": True}
    answers = {"error": {"error": given.get("v"), "more": 1}, "empty": {}, "nan": {"x": float("nan")}}
    answers["large"] = {"x": "y" * given.get("size", 0)}
    return answers.get(op or "", {"echo": given, "job_keys": sorted(job)})


if __name__ == "__main__":
    concurrency = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    config: dict[str, Any] = {"handler": handler}
    if concurrency > 1:
        config["concurrency_modifier"] = lambda _: concurrency
    if "refresh" in sys.argv:
        config["refresh_worker"] = True
    sys.argv = sys.argv[:1]
    runpod.serverless.start(config)
