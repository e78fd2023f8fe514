"""Ended jobs are forgotten in the order of their ends: by time, by number, by room."""

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


async def test_each_goes_when_its_time_is_over() -> None:
    """Not earlier, and without anybody asking."""
    gone: list[Key] = []
    async with kept(gone, 10) as retention:
        retention.add(key("a"), 0.05, 0)
        retention.add(key("b"), 60, 0)
        assert gone == []
        await asyncio.sleep(0.2)
        assert gone == [key("a")]


async def test_what_is_too_much_goes_oldest_first() -> None:
    """One more than fits, and the first one goes, however young."""
    gone: list[Key] = []
    async with kept(gone, 2) as retention:
        for name in "abc":
            retention.add(key(name), 60, 0)
        await asyncio.sleep(0.01)
        assert gone == [key("a")]


async def test_room_is_made_oldest_first_and_the_newest_stays() -> None:
    """However large it is: its client is only just being answered."""
    gone: list[Key] = []
    async with kept(gone, 10) as retention:
        for name, size in (("a", 400), ("b", 400), ("c", 5000)):
            retention.add(key(name), 60, size)
        await asyncio.sleep(0.01)
        assert gone == [key("a"), key("b")]
        retention.add(key("d"), 60, 0)
        await asyncio.sleep(0.01)
        assert gone == [key("a"), key("b"), key("c")]


async def test_what_is_taken_back_into_work_is_never_forgotten() -> None:
    """A delivery that runs again holds its files, and they do not count meanwhile."""
    gone: list[Key] = []
    async with kept(gone, 10) as retention:
        retention.add(key("a"), 0.05, 900)
        retention.remove(key("a"))
        retention.add(key("b"), 60, 900)
        retention.add(key("c"), 60, 50)
        await asyncio.sleep(0.15)
        assert gone == []


async def test_after_its_close_nothing_is_forgotten() -> None:
    """What is kept now belongs to the next life of the worker."""
    gone: list[Key] = []
    async with kept(gone, 1) as retention:
        retention.add(key("a"), 0.05, 0)
        retention.close()
        retention.add(key("b"), 0.05, 0)
        await asyncio.sleep(0.15)
        assert gone == []
