"""Tests of supervisor and watchdog: ComfyUI is restarted when it ends, hangs or stalls, but not for a slow node."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tests.engine.supervised import engine_pids, supervised
from tests.workflows import faulty, picture, slow
from worker.engine.health.silence_limits import SilenceLimits
from worker.engine.health.watchdog import EngineProblem, Observation, find_problem
from worker.engine.process.gpu import is_gone, run_succeeds
from worker.engine.process.log_file import LOG_LIMIT, rotate_log
from worker.engine.process.supervisor import EngineCommand, Supervisor
from worker.engine.protocol.api import QueueSnapshot
from worker.engine.protocol.messages import Executing, Progress
from worker.errors import StartupError, WorkerFailed
from worker.settings import ComfySettings, LimitSettings

CLASSES = {"3": "KSampler", "9": "SaveImage"}


async def test_a_kill_is_answered_by_a_restart(tmp_path: Path) -> None:
    """ComfyUI is restarted at the same address after kill -9, and its five jobs succeed."""
    async with supervised(tmp_path) as worker:
        jobs = [await worker.job(slow(0.2)) for _ in range(5)]
        await worker.state(jobs[0], "generating")
        worker.signal(signal.SIGKILL)
        assert [(await worker.result(job))[0] for job in jobs] == [200] * 5


async def test_a_stopped_process_is_killed_and_started_again(tmp_path: Path) -> None:
    """ComfyUI is restarted after SIGSTOP, and its jobs succeed."""
    async with supervised(tmp_path, engine_silence_s=1.2) as worker:
        jobs = [await worker.job(slow(0.3)) for _ in range(2)]
        await worker.state(jobs[0], "generating")
        worker.signal(signal.SIGSTOP)
        assert [(await worker.result(job))[0] for job in jobs] == [200] * 2


async def test_a_dead_worker_thread_is_answered_by_a_restart(tmp_path: Path) -> None:
    """ComfyUI is restarted when it runs nothing, and the waiting jobs succeed."""
    async with supervised(tmp_path) as worker:
        jobs = [await worker.job(workflow) for workflow in (faulty("thread", 0.3), picture(), picture())]
        assert [(await worker.result(job))[0] for job in jobs] == [200] * 3


async def test_a_stuck_node_is_stopped_and_its_job_tried_once_more(tmp_path: Path) -> None:
    """ComfyUI is restarted for a node past its deadline that ignores interrupts, and the job succeeds."""
    async with supervised(tmp_path, node_silence_s=0.9) as worker:
        jobs = [await worker.job(workflow) for workflow in (faulty("hang"), picture())]
        assert [(await worker.result(job))[0] for job in jobs] == [200] * 2


async def test_a_stuck_node_that_can_be_stopped_costs_no_restart(tmp_path: Path) -> None:
    """A stuck node that can be interrupted is tried twice without a restart, and then its job fails."""
    stuck = slow(20, steps=20)
    async with supervised(tmp_path, node_silence_s=1.8, node_deadlines="EmbeddedSleep=0.6") as worker:
        [pid] = engine_pids(tmp_path)
        status, body = await worker.result(await worker.job(stuck))
        assert (status, body["error"]["code"]) == (422, "job_crashes_engine")
        assert engine_pids(tmp_path) == [pid]


async def test_a_long_node_is_left_alone(tmp_path: Path) -> None:
    """A node that is silent within the limit of its class runs to its end, once."""
    async with supervised(tmp_path, node_silence_s=0.6, node_deadlines="EmbeddedSleep=20") as worker:
        [pid] = engine_pids(tmp_path)
        assert (await worker.result(await worker.job(slow(2.5))))[0] == 200
        assert (engine_pids(tmp_path), await worker.successes()) == ([pid], 1)


async def test_an_engine_that_does_not_start_is_given_up(tmp_path: Path) -> None:
    """`keep_running` raises WorkerFailed with the last log line after the set number of starts."""
    logs = tmp_path / "engine.log"
    for code, said in (("print('no CUDA'); raise SystemExit(3)", "no CUDA"), ("import time; time.sleep(9)", "respond")):
        command = EngineCommand([sys.executable, "-c", code], "http://127.0.0.1:9", logs)
        supervisor = Supervisor(command, ComfySettings(tries=2, start_s=0.5))
        with pytest.raises(WorkerFailed, match=said):
            await supervisor.keep_running()


async def test_the_worker_ends_with_an_engine_that_does_not_come_back(tmp_path: Path) -> None:
    """`serve` exits with 1 and the reason when ComfyUI cannot be started again."""
    comfyui = tmp_path / "ComfyUI"
    comfyui.mkdir()
    (comfyui / "main.py").write_text("raise SystemExit('no room')")
    process = await serve(tmp_path, "--comfyui", str(comfyui), WORKER_ENGINE_TRIES="2")
    _, output = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert b"no room" in output.splitlines()[-2]  # the last line is the next step


async def test_comfyui_finds_its_own_modules_whatever_the_worker_was_given(tmp_path: Path) -> None:
    """ComfyUI starts although the worker has PYTHONSAFEPATH set."""
    comfyui = tmp_path / "ComfyUI"
    comfyui.mkdir()
    (comfyui / "comfy.py").write_text("WORD = 'comfy is found'")
    (comfyui / "main.py").write_text("import comfy; raise SystemExit(comfy.WORD)")
    process = await serve(tmp_path, "--comfyui", str(comfyui), WORKER_ENGINE_TRIES="1", PYTHONSAFEPATH="1")
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert b"comfy is found" in said.splitlines()[-2]  # the last line is the next step


async def test_no_engine_outlives_its_worker(tmp_path: Path) -> None:
    """An engine ends when its worker is killed with kill -9."""
    process = await serve(tmp_path)
    assert process.stderr
    async with asyncio.timeout(60):
        while b"engine is ready" not in await process.stderr.readline():
            pass
        assert len(engine_pids(tmp_path)) == 1
        process.kill()
        await process.communicate()
        while engine_pids(tmp_path):
            await asyncio.sleep(0.02)


async def serve(state: Path, *arguments: str, **env: str) -> asyncio.subprocess.Process:
    command = ("-m", "worker", "serve", "--port", "0", "--state", str(state), *arguments)
    path = {"PATH": "/usr/bin:/bin"}
    root = Path(__file__).parents[3]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, *command, env=path | env, cwd=root, stderr=pipe)


def sight(**given: object) -> Observation:
    """Return an observation: node 3 of prompt p started at second 0, and ComfyUI responds."""
    found = Observation(answered_at=0.0)
    found.record_message(Executing("p", "3"), PATIENCE, 0.0)
    found.record_poll(look(**given), "us", 0.0)
    return found


def look(running: str | None = "p", pending: int = 0, client_id: str = "us") -> QueueSnapshot:
    return QueueSnapshot(running, CLASSES, client_id, pending)


PATIENCE = SilenceLimits(default_s=900.0, stop_s=10.0, job_s=3600.0)


def test_a_node_is_stuck_only_after_its_deadline() -> None:
    """`find_problem` reports a node only after its deadline."""
    seen = sight()
    seen.record_poll(look(), "us", 899.0)
    assert find_problem(seen, PATIENCE, 30.0, 899.0) is None
    assert find_problem(seen, PATIENCE, 30.0, 901.0) is EngineProblem.STUCK
    seen.record_message(Progress("p", "3", 1, 20), PATIENCE, 902.0)
    assert find_problem(seen, PATIENCE, 30.0, 903.0) is None


def test_an_observed_silence_raises_the_limit() -> None:
    """A class gets three times its longest observed silence, unless its limit is declared."""
    patience = SilenceLimits(default_s=900.0, stop_s=10.0, job_s=3600.0, declared={"SaveImage": 60.0})
    seen = sight()
    seen.record_message(Progress("p", "3", 1, 20), patience, 800.0)
    assert patience.for_class("KSampler") == 2400.0
    patience.learn("SaveImage", 500.0)
    assert patience.for_class("SaveImage") == 60.0


def test_a_prompt_without_frames_has_the_limit_of_a_job() -> None:
    """A prompt whose frames are lost may be silent for the job timeout."""
    seen = sight(client_id="an earlier socket")
    seen.record_poll(look(client_id="an earlier socket"), "us", 3599.0)
    assert find_problem(seen, PATIENCE, 30.0, 3599.0) is None
    seen.record_poll(look(client_id="an earlier socket"), "us", 3601.0)
    assert find_problem(seen, PATIENCE, 30.0, 3601.0) is EngineProblem.STUCK


def test_silence_is_a_problem_and_a_refused_connection_is_not() -> None:
    """`find_problem` reports no response and no progress after a while, but no refused connection."""
    seen = sight()
    assert find_problem(seen, PATIENCE, 30.0, 31.0) is EngineProblem.UNRESPONSIVE
    seen.record_poll(None, "us", 31.0)
    assert find_problem(seen, PATIENCE, 30.0, 32.0) is None
    for _ in range(3):
        assert find_problem(seen, PATIENCE, 30.0, 32.0) is None
        seen.record_poll(look(running=None, pending=1), "us", 32.0)
    assert find_problem(seen, PATIENCE, 30.0, 32.0) is EngineProblem.STALLED


def test_an_invalid_deadline_is_rejected() -> None:
    """An invalid WORKER_NODE_DEADLINES raises StartupError."""
    assert SilenceLimits.of(ComfySettings(node_deadlines="A=5, B=1e3"), LimitSettings()).declared == {
        "A": 5.0,
        "B": 1000.0,
    }
    with pytest.raises(StartupError, match="B=soon"):
        SilenceLimits.of(ComfySettings(node_deadlines="A=5, B=soon"), LimitSettings())


@pytest.mark.parametrize(
    ("probe", "driver", "gone"),
    [(True, True, False), (False, True, False), (True, False, False), (False, False, True), (False, None, False)],
)
def test_a_gpu_is_gone_when_torch_and_the_driver_say_so(probe: bool, driver: bool | None, gone: bool) -> None:
    """`is_gone` is true only when both checks fail."""
    assert is_gone(probe, driver) is gone


async def test_probes_are_processes() -> None:
    """`run_succeeds` returns the result of a command, and None for a missing program."""
    assert await run_succeeds([sys.executable, "-c", ""])
    assert await run_succeeds([sys.executable, "-c", "raise SystemExit(1)"]) is False
    assert await run_succeeds(["/nowhere/nvidia-smi"]) is None


def test_the_log_stays_bounded(tmp_path: Path) -> None:
    """`rotate_log` moves a large log aside while it is written."""
    logs = tmp_path / "engine.log"
    with logs.open("ab", buffering=0) as writer:
        writer.write(b"x" * (LOG_LIMIT + 1))
        rotate_log(logs)
        writer.write(b"more\n")
    assert logs.read_bytes() == b"more\n"
    assert (tmp_path / "engine.log.1").stat().st_size == LOG_LIMIT + 1
