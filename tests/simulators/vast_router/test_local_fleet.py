"""Workers behind a simulated Vast, and this project's use of Vast's own client."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.terminal import environment
from tests.engines import EngineHandle
from tests.workflows import failing, slow
from worker.errors import StartupError
from worker.events import JobAccepted, NodeStarted, OutputReady, PreviewReady, StateChanged, StepDone
from worker.platforms.vast.client import EVENT_FIELDS, VastEndpoint, event_name
from worker.simulators.vast_router.local_fleet import start_fleet


def serve(state: Path, comfyui: object) -> list[str]:
    place = ["--host", "127.0.0.1", "--port", "0", "--state", str(state)]
    return ["serve", "--platform", "vast", "--comfyui", str(comfyui), *place]


async def test_a_202_is_followed_to_its_result(engine: EngineHandle, tmp_path: Path) -> None:
    """After a 202, the client follows the job at its worker, in either dialect."""
    env = environment(WORKER_SYNC_LIMIT="0.3", WORKER_BENCHMARK_RUNS="1")
    async with start_fleet([serve(tmp_path / "state", engine.url)], env, logs=tmp_path) as found:
        await found.wait_until_ready(20)
        async with found.vast.client() as client:
            endpoint = VastEndpoint(client, await client.get_endpoint("comfy"))
            answer = await endpoint.generate({"workflow": slow(1)}, 1, timeout_s=10)
            assert (answer.status, answer.body["status"]) == (200, "success")
            answer = await endpoint.generate({"input": {"workflow_json": slow(1)}}, 1, timeout_s=10)
            assert (answer.status, answer.body["status"]) == (200, "completed")
            answer = await endpoint.generate({"workflow": failing()}, 1, timeout_s=10)
            assert (answer.status, answer.body["error"]["code"]) == (422, "node_failed")
            names = [name async for name, _ in endpoint.stream({"workflow": slow(0.2, steps=4)}, 1)]
    assert (names[0], names[-1]) == ("accepted", "result")
    assert {"state", "node", "step", "output"} <= set(names)


async def test_a_worker_that_ends_early_is_quoted(tmp_path: Path) -> None:
    """The error for a worker that exits early has the end of its log, at once."""
    async with start_fleet([serve(tmp_path / "state", tmp_path)], environment(), logs=tmp_path) as found:
        with pytest.raises(StartupError, match=r"worker 1 exited before it was ready:(?s:.*)has no main\.py"):
            await found.wait_until_ready(20)


def test_each_event_has_a_field_of_its_own() -> None:
    """Every event is identified by a field of its data."""
    named = {JobAccepted: "accepted", StateChanged: "state", NodeStarted: "node", StepDone: "step"}
    named |= {PreviewReady: "preview", OutputReady: "output"}
    assert set(named.values()) == set(EVENT_FIELDS)
    assert event_name({"status": "success", "id": "1", "outputs": [], "metadata": {}}) == "result"
    assert event_name({"status": "error", "id": "1", "error": {}}) == "result"
