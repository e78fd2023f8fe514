"""Tests of ComfyUI's HTTP API."""

from __future__ import annotations

import uuid
from pathlib import Path

import aiohttp
import pytest

from tests.engines import EngineHandle
from tests.workflows import picture, slow
from worker.engine.protocol.api import ComfyApi, FileRef, PromptStatus
from worker.errors import EngineUnavailable, OutputMissing, PromptRefusedError


@pytest.fixture
async def api(engine: EngineHandle):  # noqa: ANN201 - an async generator fixture
    """ComfyUI's API on the shared engine."""
    async with aiohttp.ClientSession() as session:
        yield ComfyApi(session, engine.url)


async def test_replaced_class_without_meta_is_accepted(api: ComfyApi) -> None:
    """`submit` sends a prompt again with `_meta` when ComfyUI fails for want of it."""
    workflow = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
        "2": {"class_type": "T2IAdapterLoader", "inputs": {"t2i_adapter_name": "any.safetensors"}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "meta"}},
    }
    await api.submit(workflow, str(uuid.uuid4()), "nobody")


async def test_a_large_prompt_is_sent_whole(api: ComfyApi) -> None:
    """`submit` sends a prompt of several megabytes without blocking the event loop."""
    workflow = picture()
    workflow["3"] = {"class_type": "PreviewAny", "inputs": {"source": "x" * 3_000_000}}
    await api.submit(workflow, str(uuid.uuid4()), "nobody")


async def test_where_a_prompt_is(api: ComfyApi) -> None:
    """`locate` returns running, pending, and absent for a cancelled or unknown prompt."""
    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    await api.submit(slow(20, steps=400), first, "nobody")
    await api.submit(picture(), second, "nobody")
    assert (await api.locate(second)).status is PromptStatus.PENDING
    await api.cancel(second)
    assert (await api.locate(second)).status is PromptStatus.ABSENT
    await api.cancel(first)
    assert (await api.locate(str(uuid.uuid4()))).status is PromptStatus.ABSENT


async def test_refusals_name_the_place(api: ComfyApi) -> None:
    """PromptRefusedError has ComfyUI's messages for each node."""
    workflow = picture()
    workflow["1"]["inputs"]["width"] = 10**9
    with pytest.raises(PromptRefusedError) as refused:
        await api.submit(workflow, str(uuid.uuid4()), "nobody")
    assert set(refused.value.node_errors) == {"1"}


async def test_a_prompt_that_is_accepted_in_part_is_refused(api: ComfyApi) -> None:
    """`submit` raises PromptRefusedError when ComfyUI accepts only some of the outputs."""
    workflow = picture()
    workflow["7"] = {"class_type": "EmptyImage", "inputs": {"width": -1, "height": 8, "batch_size": 1, "color": 0}}
    workflow["8"] = {"class_type": "SaveImage", "inputs": {"images": ["7", 0], "filename_prefix": "bad"}}
    with pytest.raises(PromptRefusedError) as refused:
        await api.submit(workflow, str(uuid.uuid4()), "nobody")
    assert list(refused.value.node_errors) == ["7"]


async def test_a_file_that_is_not_there(api: ComfyApi, tmp_path: Path) -> None:
    """`download` raises OutputMissing for a missing file and EngineUnavailable without ComfyUI."""
    with pytest.raises(OutputMissing):
        await api.download(FileRef("nothing.png"), tmp_path / "x")


async def test_each_route_fails_without_comfyui(tmp_path: Path) -> None:
    """Every route raises EngineUnavailable when nothing listens."""
    async with aiohttp.ClientSession() as session:
        api = ComfyApi(session, "http://127.0.0.1:9")
        with pytest.raises(EngineUnavailable):
            await api.info()
        with pytest.raises(EngineUnavailable):
            await api.cancel("x")
        with pytest.raises(EngineUnavailable):
            await api.download(FileRef("a.png"), tmp_path / "x")
        with pytest.raises(EngineUnavailable):
            await api.upload("folder", "a.png", b"x")
