"""Jobs of RunPod's own Python client, on the worker's own port.

`RUNPOD_ENDPOINT_BASE_URL` and `RUNPOD_API_KEY` say where. The arguments are a workflow that ends soon and one that runs
long, as JSON. It prints the results.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time

import aiohttp
import runpod
from runpod import AsyncioEndpoint, AsyncioJob

runpod.api_key = os.environ["RUNPOD_API_KEY"]
SHORT, LONG = ({"workflow": json.loads(text)} for text in sys.argv[1:3])


def sync_calls() -> dict[str, object]:
    """Run a job, follow another one, and cancel a third one."""
    endpoint = runpod.Endpoint("any")
    waited = endpoint.run_sync(SHORT)
    job = endpoint.run({"input": SHORT, "policy": {"executionTimeout": 60_000}})
    followed = job.output(timeout=30)
    failed = endpoint.run_sync({"workflow": {"1": {"class_type": "Nope", "inputs": {}}}})
    job = endpoint.run(LONG)
    while job.status() == "IN_QUEUE":
        time.sleep(0.05)
    running = job.status()
    job.cancel()
    return {
        "waited": [image["type"] for image in waited["images"]],
        "followed": [image["type"] for image in followed["images"]],
        "failed": failed,
        "running": running,
        "cancelled": job.status(),
        "health": sorted(endpoint.health()),
        "purged": endpoint.purge_queue(),
    }


async def async_calls() -> list[str]:
    """Run a job with the asynchronous client."""
    async with aiohttp.ClientSession() as session:
        job: AsyncioJob = await AsyncioEndpoint("any", session).run(SHORT)
        output = await job.output(timeout=30)
    return [image["type"] for image in output["images"]]


if __name__ == "__main__":
    print(json.dumps({**sync_calls(), "asynchronous": asyncio.run(async_calls())}))
