"""Asks each backend for its load at intervals, which also shows whether it responds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from worker.errors import BackendError, OperationUnsupported
from worker.proxy.dispatch.slot import BackendSlot

log = logging.getLogger(__name__)

INTERVAL_S = 5.0
"""Seconds between two questions. RunPod allows far more, and Vast's router is asked as its own console does."""
TIMEOUT_S = 10.0


async def poll_loads(slots: Iterable[BackendSlot]) -> None:
    """Update the load and the problem of each backend, until the task is cancelled."""
    async with asyncio.TaskGroup() as group:
        for slot in slots:
            group.create_task(_poll(slot))


async def _poll(slot: BackendSlot) -> None:
    """Update one backend."""
    while True:
        before = slot.problem
        await _update(slot)
        if slot.problem != before:
            log.info("backend %s: %s", slot.name, slot.problem or "responds again")
        await asyncio.sleep(INTERVAL_S)


async def _update(slot: BackendSlot) -> None:
    """Ask a backend for its load."""
    if not slot.backend.capabilities.load:
        return
    try:
        async with asyncio.timeout(TIMEOUT_S):
            slot.load = await slot.backend.load()
    except OperationUnsupported:  # it has responded
        slot.load = None
        slot.responded()
    except (BackendError, TimeoutError) as error:
        slot.did_not_respond(str(error) or f"it did not report its load within {TIMEOUT_S:g} s")
    except Exception:  # an answer of a backend must not stop the questions to the others
        log.exception("the load of backend %s cannot be read", slot.name)
        slot.load = None
    else:
        slot.responded()
