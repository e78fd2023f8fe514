"""A generator as a handler for RunPod's own SDK."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import runpod


async def handler(job: dict[str, Any]) -> AsyncIterator[dict[str, int]]:
    """Yield `n` chunks."""
    for number in range(job["input"]["n"]):
        yield {"k": number}
        await asyncio.sleep(0.2)


if __name__ == "__main__":
    runpod.serverless.start({"handler": handler, "return_aggregate_stream": True})
