"""The life of containers: drain, kill, preemption, failed starts, and no process that is left."""

from __future__ import annotations

import asyncio
import re
import signal
from pathlib import Path

import pytest

from tests.simulators.modal.workspace import Workspace, workspace
from worker.simulators.modal import ModalAssumptions

SLOW_3_S = "slow@ImageInvert;seconds=3"


async def running_job(space: Workspace) -> str:
    """Spawn a slow job, wait until the worker runs it, and return the id of the call."""
    call_id = await space.call("result = C().run_workflow.spawn(workflow=given['slow']).object_id")
    await space.until(lambda: "accepted" in space.log)
    return call_id


async def status(space: Workspace, call_id: str) -> str:
    """Wait for the result of a call, and return its status."""
    return await space.call(f"result = modal.FunctionCall.from_id('{call_id}').get(timeout=50)['status']")


async def test_an_interrupted_container_drains(tmp_path: Path) -> None:
    """SIGINT cancels the running input and runs the exit handler: the worker drains. The input runs again elsewhere."""
    async with workspace(tmp_path, WORKER_FAULT=SLOW_3_S) as space:
        call_id = await running_job(space)
        [container] = space.modal.pool.containers.values()
        assert container
        container.send_signal(signal.SIGINT)
        await space.until(lambda: container.process.returncode is not None)
        assert container.process.returncode == 0, space.log
        assert re.search(r"job in-\d+ cancelled.*draining for at most 20 s.*has stopped", space.log, re.DOTALL), (
            space.log
        )
        assert await status(space, call_id) == "success"
    await space.until(lambda: not space.processes())


async def test_a_drained_container_finishes_its_inputs(tmp_path: Path) -> None:
    """At a new deployment the container finishes the job that runs, drains, and ends."""
    async with workspace(tmp_path, WORKER_FAULT=SLOW_3_S) as space:
        call_id = await running_job(space)
        [container] = space.modal.pool.containers.values()
        assert container
        await space.deploy()
        assert await status(space, call_id) == "success"
        await space.until(lambda: container.process.returncode is not None)
        assert container.process.returncode == 0, space.log
        assert re.search(r"completed after.*draining for at most 20 s.*has stopped", space.log, re.DOTALL), space.log


async def test_a_terminated_container_loses_its_job_which_runs_again(tmp_path: Path) -> None:
    """SIGTERM runs no exit handler: the input runs again in another container, and no process of the first is left."""
    async with workspace(tmp_path, WORKER_FAULT=SLOW_3_S) as space:
        call_id = await running_job(space)
        [(first, container)] = space.modal.pool.containers.items()
        assert container
        container.send_signal(signal.SIGTERM)
        await space.until(lambda: container.process.returncode is not None)
        assert container.process.returncode == -signal.SIGTERM
        assert await status(space, call_id) == "success"
        assert first not in space.modal.pool.records
    await space.until(lambda: not space.processes())


async def test_a_preempted_container_ends_within_the_time_of_modal(tmp_path: Path) -> None:
    """A preempted container gets no new input and exits within 30 s. Its input has a result."""
    async with workspace(tmp_path, WORKER_FAULT=SLOW_3_S) as space:
        call_id = await running_job(space)
        [task_id] = space.modal.pool.records
        container = space.modal.pool.containers[task_id]
        assert container
        async with asyncio.timeout(space.modal.assumptions.stop_grace_s):
            await space.modal.pool.preempt(task_id)
        assert container.process.returncode == 0, space.log
        assert await status(space, call_id) == "success"


async def test_a_worker_that_does_not_start_is_reported_and_tried_again(tmp_path: Path) -> None:
    """`enter` fails with one sentence, the input waits, the container is started again with growing pauses."""
    pauses = ModalAssumptions(crash_pause_s=0.1, crash_longest_pause_s=0.2)
    async with workspace(tmp_path, pauses, WORKER_TOKENS="not a token") as space:
        call_id = await space.call("result = C().run_workflow.spawn(workflow=given['fast']).object_id")
        await space.until(lambda: len(space.modal.state.task_results) >= 2)
        result = space.modal.state.task_results[0]
        assert result.exception == ("RuntimeError('comfy-worker ended with code 1: its log says why')")
        assert "WORKER_TOKENS: pair 1 is not name=token" in space.log
        assert space.modal.state.calls[call_id].inputs[0].output is None
    await space.until(lambda: not space.processes())


@pytest.mark.parametrize("seconds", [2])
async def test_an_idle_container_ends(tmp_path: Path, seconds: int) -> None:
    """After `scaledown_window` without an input the container drains and ends, and the next call starts another."""
    app = tmp_path / "idle_app.py"
    app.write_text(
        "import modal\n"
        "app = modal.App('comfy-worker')\n"
        f"@app.cls(scaledown_window={seconds})\n"
        "class ComfyUI:\n"
        "    @modal.exit()\n"
        "    def leave(self):\n"
        "        print('left')\n"
        "    @modal.method()\n"
        "    async def double(self, x):\n"
        "        return 2 * x\n"
        "    @modal.method()\n"
        "    async def count(self, n):\n"
        "        for number in range(n):\n"
        "            yield number\n"
    )
    async with workspace(tmp_path, app=app) as space:
        assert await space.call("result = C().double.remote(21)") == 42
        assert await space.call("result = list(C().count.remote_gen(3))") == [0, 1, 2]
        assert await space.call("result = len(C().double.remote(3 * 2**20 * 'x'))") == 6 * 2**20
        await space.until(lambda: not space.modal.pool.records)
        assert "left" in space.log
        assert await space.call("result = C().double.remote(4)") == 8
