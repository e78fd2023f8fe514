"""Tests of the client of an engine."""

from __future__ import annotations

import asyncio
import random
import uuid
from pathlib import Path

import aiohttp
import pytest

from tests.engines import EngineHandle
from tests.relay import Proxy
from tests.workflows import slow
from worker.engine.client import ComfyClient
from worker.engine.protocol.messages import Executing, RunMessage
from worker.errors import EngineUnavailable
from worker.settings import ComfySettings
from worker.supervision import Tasks


@pytest.fixture
async def comfy(engine: EngineHandle, tmp_path: Path):  # noqa: ANN201 - an async generator fixture
    """A connected client."""
    async with Tasks() as tasks, ComfyClient(engine.url, ComfySettings(), tasks) as client:
        await client.socket.wait_until_open(5)
        yield client


async def remaining(engine: EngineHandle) -> int:
    async with aiohttp.ClientSession() as session, session.get(engine.url + "/prompt") as answer:
        return (await answer.json())["exec_info"]["queue_remaining"]


async def test_cancel_at_any_moment_leaves_nothing_behind(comfy: ComfyClient, engine: EngineHandle) -> None:
    """A run that is cancelled before, during or after the POST leaves no prompt in ComfyUI."""
    choose = random.Random(1)
    tasks = []
    for _ in range(40):
        task = asyncio.create_task(comfy.run_prompt(slow(30, steps=600), lambda _: None, str(uuid.uuid4())))
        tasks.append(task)
        await asyncio.sleep(choose.choice((0, 0.0005, 0.001, 0.002, 0.005)))
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    async with asyncio.timeout(60):
        while await remaining(engine):
            await asyncio.sleep(0.02)


async def test_cancel_while_the_post_is_on_its_way(engine: EngineHandle, tmp_path: Path) -> None:
    """A run that is cancelled before ComfyUI has received the POST leaves no prompt in ComfyUI."""
    async with (
        Proxy(engine, slow=b"POST /prompt", delay_s=0.3) as proxy,
        Tasks() as tasks,
        ComfyClient(proxy.url, ComfySettings(), tasks) as client,
    ):
        await client.socket.wait_until_open(5)
        task = asyncio.create_task(client.run_prompt(slow(30, steps=600), lambda _: None, str(uuid.uuid4())))
        await asyncio.sleep(0.1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.4)
        assert await remaining(engine) == 0


async def test_messages_are_reported_in_order(comfy: ComfyClient) -> None:
    """`run_prompt` reports messages in order and returns outputs by node."""
    heard: list[RunMessage] = []
    outputs = await comfy.run_prompt(slow(0.05, steps=2), heard.append, str(uuid.uuid4()))
    assert [message.node for message in heard if isinstance(message, Executing)][-1] == "2"
    assert set(outputs) == {"2"}


async def test_info_and_catalog_are_read_once(comfy: ComfyClient) -> None:
    """`info` and `catalog` send one request for each connection."""
    assert (await comfy.info()).embedded
    assert await comfy.catalog() is await comfy.catalog()


async def test_run_prompt_without_comfyui_fails(tmp_path: Path) -> None:
    """`run_prompt` raises EngineUnavailable after the set time without a ComfyUI."""
    async with (
        Tasks() as tasks,
        ComfyClient("http://127.0.0.1:9", ComfySettings(lost_s=0.2), tasks) as client,
    ):
        with pytest.raises(EngineUnavailable):
            await client.run_prompt(slow(0), lambda _: None, str(uuid.uuid4()))
