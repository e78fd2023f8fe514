"""Tests of retention: ended jobs are removed by time, number and size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from worker.jobs.retention import Key, Retention
from worker.supervision import stop


@asynccontextmanager
async def kept(gone: list[Key], most: int = 10) -> AsyncIterator[Retention]:
    retention = Retention(gone.append, most=most, max_bytes=1000)
    running = asyncio.create_task(retention.run())
    try:
        yield retention
    finally:
        await stop(running)


def key(name: str) -> Key:
    return ("local", name)


async def test_a_job_is_removed_when_it_expires() -> None:
    """A job is removed when it expires."""
    gone: list[Key] = []
    async with kept(gone, 10) as retention:
        retention.add(key("a"), 0.05, 0)
        retention.add(key("b"), 60, 0)
        assert gone == []
        await asyncio.sleep(0.2)
        assert gone == [key("a")]


async def test_the_oldest_job_is_removed_first() -> None:
    """The oldest job is removed when there is one too many."""
    gone: list[Key] = []
    async with kept(gone, 2) as retention:
        for name in "abc":
            retention.add(key(name), 60, 0)
        await asyncio.sleep(0.01)
        assert gone == [key("a")]


async def test_space_is_freed_oldest_first() -> None:
    """The oldest jobs are removed for space, and the newest stays at any size."""
    gone: list[Key] = []
    async with kept(gone, 10) as retention:
        for name, size in (("a", 400), ("b", 400), ("c", 5000)):
            retention.add(key(name), 60, size)
        await asyncio.sleep(0.01)
        assert gone == [key("a"), key("b")]
        retention.add(key("d"), 60, 0)
        await asyncio.sleep(0.01)
        assert gone == [key("a"), key("b"), key("c")]


async def test_a_job_in_delivery_is_not_removed() -> None:
    """A job that is delivered again is not removed and does not count."""
    gone: list[Key] = []
    async with kept(gone, 10) as retention:
        retention.add(key("a"), 0.05, 900)
        retention.remove(key("a"))
        retention.add(key("b"), 60, 900)
        retention.add(key("c"), 60, 50)
        await asyncio.sleep(0.15)
        assert gone == []


async def test_no_job_is_removed_after_close() -> None:
    """No job is removed after `close`."""
    gone: list[Key] = []
    async with kept(gone, 1) as retention:
        retention.add(key("a"), 0.05, 0)
        retention.close()
        retention.add(key("b"), 0.05, 0)
        await asyncio.sleep(0.15)
        assert gone == []
