"""A client sees one run, whatever happens to the engine, and finds its results after a restart of the worker."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from tests.comfy_api.client import ComfyClient
from tests.comfy_api.conftest import TOKENS
from tests.conftest import worker
from tests.engine.supervised import supervised
from tests.engines import EngineHandle
from tests.workflows import picture, slow

ANN = SecretStr(f"ann={TOKENS['ann']}")


def kinds_of(frames: list[Any]) -> list[str]:
    """Return the types of frames, without those that repeat."""
    return [frame["type"] for frame in frames if frame["type"] not in {"progress_state", "progress"}]


async def test_a_run_that_starts_again_is_shown_as_one(tmp_path: Path) -> None:
    """After a crash of the engine, no start, no node and no step is shown twice, and the prompt succeeds."""
    async with supervised(tmp_path, comfy_api=True, tokens=ANN) as client:
        ann = ComfyClient(client.http, client.app.url, TOKENS["ann"])
        async with ann.listening() as frames:
            prompt_id = await ann.submit(slow(3, steps=30))
            await frames.until("progress", value=5)
            client.signal(signal.SIGKILL)
            shown = await frames.of_prompt(prompt_id)
        steps = [frame["data"]["value"] for frame in shown if frame["type"] == "progress"]
        assert steps == sorted(set(steps))
        assert steps[-1] == 30
        assert kinds_of(shown) == [
            *("execution_start", "execution_cached", "executing", "executing", "executing"),
            *("executed", "execution_success", "executing"),
        ]
        entry = await ann.ended(prompt_id)
        [image] = entry["outputs"]["2"]["images"]
        assert (await ann.get("/view", **image))[0] == 200


async def test_results_outlive_the_worker(engine: EngineHandle, tmp_path: Path) -> None:
    """After a restart of the worker, the history has the same form, and files can be viewed."""
    async with worker(engine, tmp_path, comfy_api=True, tokens=ANN) as client:
        ann = ComfyClient(client.http, client.app.url, TOKENS["ann"])
        prompt_id = await ann.submit(picture())
        before = await ann.ended(prompt_id)
    async with worker(engine, tmp_path, comfy_api=True, tokens=ANN) as client:
        ann = ComfyClient(client.http, client.app.url, TOKENS["ann"])
        after = await ann.ended(prompt_id)
        assert after["outputs"] == before["outputs"]
        assert after["status"]["status_str"] == "success"
        assert [kind for kind, _ in after["status"]["messages"]] == [kind for kind, _ in before["status"]["messages"]]
        [image] = after["outputs"]["2"]["images"]
        assert (await ann.get("/view", **image))[0] == 200


async def test_a_client_that_connects_again_sees_the_running_node(engine: EngineHandle, tmp_path: Path) -> None:
    """A second connection with the same client id gets the running node, and then the frames that follow."""
    async with worker(engine, tmp_path, comfy_api=True, tokens=ANN) as client:
        ann = ComfyClient(client.http, client.app.url, TOKENS["ann"])
        async with ann.listening() as frames:
            prompt_id = await ann.submit(slow(1, steps=50))
            await frames.until("progress", value=2)
        async with ann.listening() as frames:
            assert (await frames.until("executing"))["node"] == "3"
            shown = await frames.of_prompt(prompt_id)
        assert shown[-2]["type"] == "execution_success"
