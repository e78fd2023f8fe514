"""The flood of requests: a thread draws requests while the responses to earlier ones are awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from chaos.fuzzing.fuzz_request import FuzzRequest
from chaos.fuzzing.fuzz_sender import FuzzSender
from chaos.fuzzing.request_strategies import bodies, route_requests, variants
from chaos.fuzzing.workflow_grammar import WorkflowGrammar
from worker.workflow.catalog.catalog import Catalog

SENDERS, QUEUE_SIZE = 32, 256
VARIANTS = 14
"""Variants of each drawn request."""
ROUTES_EVERY = 12
"""Drawn requests after which each other route is requested once."""


@dataclass(frozen=True, slots=True)
class FloodPlan:
    """The number of requests and their seed. `wrap` turns each request into the one that is sent."""

    requests: int
    seed: int
    wrap: Callable[[FuzzRequest], FuzzRequest] = lambda request: request


async def flood(sender: FuzzSender, document: Mapping[str, Any], plan: FloodPlan) -> None:
    """Draw and send all requests."""
    queue: asyncio.Queue[FuzzRequest | None] = asyncio.Queue(QUEUE_SIZE)
    loop = asyncio.get_running_loop()

    def put(request: FuzzRequest | None) -> None:
        """Put a request into the queue from the drawing thread, and wait while the queue is full."""
        asyncio.run_coroutine_threadsafe(queue.put(request), loop).result()

    async def send() -> None:
        """Send requests from the queue until it ends."""
        while (request := await queue.get()) is not None:
            await sender.send(plan.wrap(request))
        await queue.put(None)  # ends the next sender

    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(_draw_requests, document, plan, sender, put))
        for _ in range(SENDERS):
            group.create_task(send())


def _draw_requests(
    document: Mapping[str, Any], plan: FloodPlan, sender: FuzzSender, put: Callable[[FuzzRequest | None], None]
) -> None:
    """Draw requests with hypothesis until there are enough, and put None behind the last."""
    remaining = plan.requests
    drawn = 0

    @seed(plan.seed)
    @settings(
        max_examples=plan.requests // VARIANTS + 100,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(bodies(document, WorkflowGrammar(Catalog.bundled())), st.integers(0, 2**32))
    def draw(body: dict[str, Any], number: int) -> None:
        """Queue the variants of one drawn body, and from time to time a request for every route."""
        nonlocal remaining, drawn
        if remaining <= 0:
            return
        requests = variants(body, number, VARIANTS, sender.state)
        if drawn % ROUTES_EVERY == 0:
            requests += route_requests(document, number, sender.state, body)
        drawn += 1
        remaining -= len(requests)
        for request in requests:
            put(request)

    try:
        draw()
    finally:
        put(None)
