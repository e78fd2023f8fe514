"""Tests of WORKER_CATALOG, the catalog that an image build stores."""

from __future__ import annotations

import gzip
from pathlib import Path

import orjson
import pytest

from tests.engines import EngineHandle
from worker.engine.catalogs import read_catalog
from worker.engine.client import ComfyClient
from worker.errors import StartupError
from worker.settings import ComfySettings
from worker.supervision import Tasks

INFO = {"OnlyKept": {"input": {"required": {}}, "output": ["IMAGE"]}}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    path = tmp_path / "object_info.json.gz"
    path.write_bytes(gzip.compress(orjson.dumps(INFO)))
    return path


async def test_it_serves_while_comfyui_does_not_answer(kept: Path) -> None:
    """A worker uses the stored catalog while its ComfyUI starts."""
    async with Tasks() as tasks, ComfyClient("http://127.0.0.1:9", ComfySettings(catalog=kept), tasks) as client:
        assert client.known_catalog is not None
        assert list(await client.catalog()) == ["OnlyKept"]


async def test_the_engines_catalog_replaces_the_stored_one(kept: Path, engine: EngineHandle) -> None:
    """The engine's own catalog replaces the stored one."""
    async with Tasks() as tasks, ComfyClient(engine.url, ComfySettings(catalog=kept), tasks) as client:
        await client.socket.wait_until_open(10)
        assert "OnlyKept" not in await client.catalog()
        assert client.known_catalog is not None
        assert "KSampler" in client.known_catalog


CUT_OFF = gzip.compress(b"{}", mtime=0)[:8]


@pytest.mark.parametrize("data", [b"{", b"[]", CUT_OFF, b""], ids=["half", "list", "cut off", "empty"])
def test_an_invalid_catalog_file_fails_the_start(tmp_path: Path, data: bytes) -> None:
    """`read_catalog` raises StartupError with the file's name for an invalid file."""
    for name in ("kept.json", "kept.json.gz", "gone.json"):
        if name.startswith("kept"):
            (tmp_path / name).write_bytes(data)
        with pytest.raises(StartupError, match=name):
            read_catalog(tmp_path / name)
