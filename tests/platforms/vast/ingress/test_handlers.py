"""Handlers of an app through Vast's own client, router and SDK worker."""

from __future__ import annotations

import asyncio
import base64
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import ROOT
from tests.engines import EngineHandle
from tests.platforms.conftest import deleted, loaded, processes, start_worker
from tests.workflows import slow
from worker.engine.process.free_port import free_port
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAMPLE, MIGRATED = ROOT / "examples" / "modal-app", ROOT / "examples" / "modal-app-migrated"


class VastHandlers:
    """The client's endpoint, the record of the router, and the folder of the app that the one worker serves."""

    def __init__(self, local: LocalVast, endpoint: Any, app: Path) -> None:
        self.record, self.endpoint, self.app = local.record, endpoint, app

    async def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self.endpoint.request(f"/handlers/{name}", arguments, cost=2.0, timeout=60)
        return answer


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def vast(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VastHandlers]:
    """One worker with the migrated app, whose utilities use a free port."""
    folder = tmp_path_factory.mktemp("vast")
    app, port = shutil.copytree(MIGRATED, folder / "app"), free_port()
    utilities = app / "utils" / "comfyui.py"
    utilities.write_text(utilities.read_text().replace("_port = 8000", f"_port = {port}"))
    env = {"WORKER_HANDLERS": str(app), "WORKER_HANDLERS_PORT": str(port), "WORKER_SYNC_LIMIT": "60"}
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(vast_router.serve())
        spawn = await stack.enter_async_context(processes(folder))
        await start_worker(spawn, local, engine, 1, folder / "state", **env)
        await local.record.until(loaded(1))
        client = await stack.enter_async_context(local.client())
        yield VastHandlers(local, await client.get_endpoint("comfy"), app)


async def test_the_handler_of_the_modal_app_makes_a_picture(vast: VastHandlers) -> None:
    """Its file is byte for byte the one of the app on Modal."""
    file = Path("handlers") / "flux.py"
    assert (vast.app / file).read_bytes() == (SAMPLE / file).read_bytes()
    answer = await vast.call("generate_flux_image", prompt="a lighthouse", width=64, height=64)
    assert (answer["status"], answer["ok"]) == (200, True), answer
    assert base64.b64decode(answer["response"]["image"]).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("generate_flux_image", {"promt": "a lighthouse"}, "invalid_arguments"),
        ("no_such_handler", {}, "unknown_handler"),
        ("run_custom_workflow", {"workflow": {"1": {"class_type": "NoSuchClass", "inputs": {}}}}, "handler_failed"),
    ],
)
async def test_an_error_is_not_sent_again(vast: VastHandlers, name: str, arguments: dict[str, Any], code: str) -> None:
    """Vast's client repeats 5xx without end. The errors of a call are 4xx."""
    before = len(vast.record.routed)
    answer = await vast.call(name, **arguments)
    assert 400 <= answer["status"] < 500
    assert answer["response"]["error"]["code"] == code
    assert len(vast.record.routed) == before + 1


async def test_a_call_leaves_no_load(vast: VastHandlers) -> None:
    """While it runs, its prompt and the call count once. At the end nothing is left."""
    calls = [asyncio.create_task(vast.call("run_custom_workflow", workflow=slow(0.5))) for _ in range(2)]
    answers = await asyncio.gather(*calls)
    assert [answer["status"] for answer in answers] == [200, 200], answers
    for number, _ in vast.record.routed:
        await vast.record.until(deleted(number))
    await vast.record.until(lambda record: record.statuses[-1].cur_load == 0)
