"""Draws requests in a thread of their own while the answers to earlier ones are still awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from chaos.fuzzing.fuzz_request import FuzzRequest
from chaos.fuzzing.graphs import Grammar
from chaos.fuzzing.requests import batch, bodies, routes
from chaos.fuzzing.sender import Sender
from worker.workflow.catalog.catalog import Catalog

SENDERS, AHEAD = 32, 256
SIZE = 14
"""Neighbours of each drawn request."""
ROUTES_EVERY = 12
"""After so many drawn requests each other route is asked once."""


@dataclass(frozen=True, slots=True)
class Flood:
    """How many requests, from which seed; `wrap` makes of each what is really sent."""

    requests: int
    seed: int
    wrap: Callable[[FuzzRequest], FuzzRequest] = lambda asked: asked


async def flood(sender: Sender, document: Mapping[str, Any], plan: Flood) -> None:
    """Send them all."""
    queue: asyncio.Queue[FuzzRequest | None] = asyncio.Queue(AHEAD)
    loop = asyncio.get_running_loop()

    def put(asked: FuzzRequest | None) -> None:
        asyncio.run_coroutine_threadsafe(queue.put(asked), loop).result()

    async def send() -> None:
        while (asked := await queue.get()) is not None:
            await sender.send(plan.wrap(asked))
        await queue.put(None)  # for the next one

    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(_draw, document, plan, sender, put))
        for _ in range(SENDERS):
            group.create_task(send())


def _draw(document: Mapping[str, Any], plan: Flood, sender: Sender, put: Callable[[FuzzRequest | None], None]) -> None:
    left = plan.requests
    drawn = 0

    @seed(plan.seed)
    @settings(
        max_examples=plan.requests // SIZE + 100,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(bodies(document, Grammar(Catalog.bundled())), st.integers(0, 2**32))
    def draw(body: dict[str, Any], number: int) -> None:
        nonlocal left, drawn
        if left <= 0:
            return
        made = batch(body, number, SIZE, sender.pot)
        if drawn % ROUTES_EVERY == 0:
            made += routes(document, number, sender.pot, body)
        drawn += 1
        left -= len(made)
        for asked in made:
            put(asked)

    try:
        draw()
    finally:
        put(None)
