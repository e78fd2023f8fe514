"""Tests of the common catalog of several engines."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import orjson
import pytest

from tests.engine.supervised import supervised
from tests.engines import start_engine
from worker.engine.catalogs import SharedCatalogs
from worker.engine.config import EngineConfig
from worker.engine.pool import EnginePool
from worker.errors import EngineUnavailable
from worker.settings import ComfySettings, LimitSettings
from worker.supervision import Tasks


def test_the_same_bytes_are_the_same_object() -> None:
    """Equal responses are parsed to one object while it is in use, and other responses to another."""
    shared = SharedCatalogs()
    data = orjson.dumps({"A": {"input": {}, "output": []}})
    first = shared(data)
    assert shared(bytes(bytearray(data))) is first
    assert shared(orjson.dumps({"B": {"input": {}, "output": []}})) is not first


async def test_equal_engines_have_one_catalog(tmp_path: Path) -> None:
    """The common catalog of equal engines is their own one, and stays while one of them is down."""
    async with supervised(tmp_path, gpus="2") as worker:
        engines = worker.app.engines
        await engines.wait_until_settled()
        catalog = await engines.catalog()
        assert [engine.client.known_catalog is catalog for engine in engines.engines] == [True, True]
        worker.signal(signal.SIGKILL, "engine-1")
        async with asyncio.timeout(60):
            while engines.engines[1].connected:
                await asyncio.sleep(0.01)
        assert await engines.catalog() is catalog


async def test_a_workflow_needs_what_every_engine_has(tmp_path: Path) -> None:
    """A model that one engine lacks is no choice until that engine has it."""
    for name, files in (("a", ("both", "only-a")), ("b", ("both",))):
        folder = tmp_path / name / "models" / "checkpoints"
        folder.mkdir(parents=True)
        for file in files:
            (folder / f"{file}.safetensors").write_bytes(b"1")
    with start_engine(tmp_path / "a", "--strict") as a, start_engine(tmp_path / "b", "--strict") as b:
        configs = [EngineConfig("engine-0", a.url, None, None), EngineConfig("engine-1", b.url, None, None)]
        async with Tasks() as tasks, EnginePool(configs, ComfySettings(), LimitSettings(), tasks) as pool:
            await pool.wait_until_settled()
            assert choices(await pool.catalogs.current()) == ("both.safetensors",)
            assert await pool.catalogs.current() is await pool.catalog()
            (tmp_path / "b" / "models" / "checkpoints" / "only-a.safetensors").write_bytes(b"1")
            renewed = await pool.catalogs.refreshed({"CheckpointLoaderSimple"})
            assert choices(renewed) == ("both.safetensors", "only-a.safetensors")


async def test_without_an_engine_there_is_none(tmp_path: Path) -> None:
    """The catalog raises EngineUnavailable when no engine is connected."""
    nowhere = [EngineConfig(f"engine-{number}", "http://127.0.0.1:9", None, None) for number in range(2)]
    async with Tasks() as tasks, EnginePool(nowhere, ComfySettings(), LimitSettings(), tasks) as pool:
        with pytest.raises(EngineUnavailable):
            await pool.catalog()


def choices(catalog: object) -> object:
    return catalog["CheckpointLoaderSimple"].by_name["ckpt_name"].options  # type: ignore[index]
