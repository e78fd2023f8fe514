"""`examples/modal/comfy_caller.py`: a worker over HTTP, called as a class of a Modal app."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Client, worker
from tests.engines import start_engine

FILE = Path(__file__).parents[2] / "examples" / "modal" / "comfy_caller.py"


def caller(client: Client) -> Any:
    """Return the class for a worker without tokens."""
    spec = importlib.util.spec_from_file_location("comfy_caller", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WorkerClass(client.app.url, "no-token")


async def test_remote_returns_the_result(client: Client) -> None:
    """`generate.remote` runs a template, and errors are RuntimeError with their code."""
    comfy = caller(client)()
    result = await asyncio.to_thread(comfy.generate.remote, template="smoke-resize", width=64, height=32)
    assert (result["status"], result["outputs"][0]["width"]) == ("success", 64)
    with pytest.raises(RuntimeError, match=r"^unknown_template: there is no template 'nope'$"):
        await asyncio.to_thread(comfy.generate.remote, template="nope")
    with pytest.raises(RuntimeError, match=r"^not_found: "):
        await asyncio.to_thread(comfy.generate_flux.remote, prompt="a fox")


async def test_a_spawned_call_has_a_result_or_is_cancelled(tmp_path: Path) -> None:
    """`get(timeout=0)` raises TimeoutError before the end, `get` returns the result, and `cancel` cancels one job."""
    with start_engine(tmp_path / "engine", "--fault", "slow@ImageInvert;seconds=2") as engine:
        async with worker(engine, tmp_path / "state") as client:
            comfy = caller(client)
            first = await asyncio.to_thread(comfy().generate.spawn, template="smoke-resize", color=1)
            second = await asyncio.to_thread(comfy().generate.spawn, template="smoke-resize", color=2)
            with pytest.raises(TimeoutError):
                await asyncio.to_thread(first.get, timeout=0)
            await asyncio.to_thread(second.cancel)
            with pytest.raises(RuntimeError, match="cancelled"):
                await asyncio.to_thread(second.get, timeout=60)
            assert (await asyncio.to_thread(first.get, timeout=60))["status"] == "success"
