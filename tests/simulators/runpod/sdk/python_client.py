"""The calls of RunPod's own Python client that a recording has, in the same order.

`RUNPOD_ENDPOINT_BASE_URL` and `RUNPOD_API_KEY` say where, and the argument is the endpoint. It prints the results.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time

import aiohttp
import runpod
from runpod import AsyncioEndpoint, AsyncioJob

runpod.api_key = os.environ["RUNPOD_API_KEY"]
ENDPOINT = sys.argv[1]


def sync_calls() -> list[object]:
    """Make the calls of the synchronous client."""
    endpoint = runpod.Endpoint(ENDPOINT)
    results = [endpoint.run_sync({"op": "echo", "a": 1}), endpoint.run_sync({"op": "raise"})]
    policy = {"executionTimeout": 60_000}
    results.append(endpoint.run_sync({"input": {"op": "echo"}, "policy": policy, "webhook": "http://127.0.0.1:9/x"}))
    results.append(endpoint.run_sync({"input": {}}))
    job = endpoint.run({"op": "sleep", "s": 1})
    results += [job.status() in ("IN_QUEUE", "IN_PROGRESS"), job.output(timeout=20)]
    job = endpoint.run({"op": "raise"})
    results.append(job.output(timeout=20))
    job = endpoint.run({"op": "sleep", "s": 20})
    time.sleep(2.5)  # until the worker has it
    job.cancel()
    results += [job.status(), sorted(endpoint.health()), endpoint.purge_queue()["status"]]
    # CANCELLED is no end for `stream()`: it polls until the process ends.
    threading.Thread(target=lambda: list(job.stream()), daemon=True).start()
    time.sleep(2)
    return results


async def async_calls() -> list[object]:
    """Make the calls of the asynchronous client, which wraps every input."""
    results: list[object] = []
    async with aiohttp.ClientSession() as session:
        endpoint = AsyncioEndpoint(ENDPOINT, session)
        for given in ({"op": "sleep", "s": 1}, {"input": {"op": "echo"}}):
            job: AsyncioJob = await endpoint.run(given)
            results.append(await job.output(timeout=20))
    return results


if __name__ == "__main__":
    print(json.dumps([*sync_calls(), *asyncio.run(async_calls())]))
