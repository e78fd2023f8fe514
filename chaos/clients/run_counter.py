"""A count of how often the engines ran each scenario, read from their histories while they run."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

SCENARIO_NUMBER = re.compile(r'"filename_prefix":"[^"]*n(\d+)n')
EVERY_S = 1.0
WINDOW = 512


@dataclass(slots=True)
class RunCounter:
    """Counts runs by scenario number. A run is a prompt that was started, with any end.

    `urls` are the URLs of the engines themselves, not of a relay.
    """

    http: aiohttp.ClientSession
    urls: Sequence[str]
    counted: set[str] = field(default_factory=set)
    numbers: Counter[int] = field(default_factory=Counter)
    completed: Counter[int] = field(default_factory=Counter)
    """Successful runs. A second one is always wasted."""
    every_s: float = EVERY_S

    async def run(self) -> None:
        """Read the histories repeatedly until cancelled."""
        while True:
            await asyncio.sleep(self.every_s)
            await self.read()

    async def read(self) -> None:
        """Count the runs since the last call. An engine that does not answer is skipped."""
        await asyncio.gather(*(self._read(url) for url in self.urls))

    async def _read(self, url: str) -> None:
        """Count the new runs of one engine."""
        window = WINDOW
        while True:
            try:
                history = await self._history(url, window)
            except (aiohttp.ClientError, ConnectionError, TimeoutError):
                return
            new = [prompt_id for prompt_id in history if prompt_id not in self.counted]
            if len(new) < len(history) or len(history) < window:
                break
            window *= 4  # every entry is new, so there may be more
        for prompt_id in new:
            self.counted.add(prompt_id)
            self._count(history[prompt_id])

    def _count(self, entry: dict[str, Any]) -> None:
        """Count one entry of a history."""
        if match := SCENARIO_NUMBER.search(orjson.dumps(entry["prompt"][2]).decode()):
            self.numbers[int(match[1])] += 1
            self.completed[int(match[1])] += entry["status"]["completed"]

    async def _history(self, url: str, window: int) -> dict[str, Any]:
        """Return the latest entries of an engine's history."""
        timeout = aiohttp.ClientTimeout(total=20)
        async with self.http.get(f"{url}/history?max_items={window}", timeout=timeout) as response:
            history: dict[str, Any] = orjson.loads(await response.read())
            return history
