"""ComfyUI is kept running: its end, its silence and its standstill are noticed, and a slow node is none of them."""

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
from worker.engine.process.supervisor import LOG_LIMIT, EngineCommand, Supervisor, rotate_log
from worker.engine.protocol.api import QueueSnapshot
from worker.engine.protocol.messages import Executing, Progress
from worker.errors import StartupError, WorkerFailed
from worker.settings import ComfySettings, LimitSettings

CLASSES = {"3": "KSampler", "9": "SaveImage"}


async def test_a_kill_is_answered_by_a_restart(tmp_path: Path) -> None:
    """Killed with five jobs under way, the engine comes back at the same address; each job ends well."""
    async with supervised(tmp_path) as worker:
        jobs = [await worker.job(slow(0.2)) for _ in range(5)]
        await worker.state(jobs[0], "generating")
        worker.signal(signal.SIGKILL)
        assert [(await worker.result(job))[0] for job in jobs] == [200] * 5


async def test_a_stopped_process_is_killed_and_started_again(tmp_path: Path) -> None:
    """SIGSTOP: connections stay open and nothing answers; the job that ran and the one behind it end well."""
    async with supervised(tmp_path, engine_silence_s=1.2) as worker:
        jobs = [await worker.job(slow(0.3)) for _ in range(2)]
        await worker.state(jobs[0], "generating")
        worker.signal(signal.SIGSTOP)
        assert [(await worker.result(job))[0] for job in jobs] == [200] * 2


async def test_a_dead_worker_thread_is_answered_by_a_restart(tmp_path: Path) -> None:
    """Prompts are accepted and none runs: the engine is restarted and those who waited run."""
    async with supervised(tmp_path) as worker:
        jobs = [await worker.job(workflow) for workflow in (faulty("thread", 0.3), picture(), picture())]
        assert [(await worker.result(job))[0] for job in jobs] == [200] * 3


async def test_a_stuck_node_is_stopped_and_its_job_tried_once_more(tmp_path: Path) -> None:
    """A node without progress past its deadline, which no interrupt ends, costs the engine its life, not the job."""
    async with supervised(tmp_path, node_silence_s=0.9) as worker:
        jobs = [await worker.job(workflow) for workflow in (faulty("hang"), picture())]
        assert [(await worker.result(job))[0] for job in jobs] == [200] * 2


async def test_a_stuck_node_that_can_be_stopped_costs_no_restart(tmp_path: Path) -> None:
    """Interrupted, it ends; the same again in its second try is the job's fault."""
    stuck = slow(20, steps=20)
    async with supervised(tmp_path, node_silence_s=1.8, node_deadlines="EmbeddedSleep=0.6") as worker:
        [pid] = engine_pids(tmp_path)
        status, body = await worker.result(await worker.job(stuck))
        assert (status, body["error"]["code"]) == (422, "job_crashes_engine")
        assert engine_pids(tmp_path) == [pid]


async def test_a_long_node_is_left_alone(tmp_path: Path) -> None:
    """Silent for much longer than the default allows, but within what its class may take: it runs once, to its end."""
    async with supervised(tmp_path, node_silence_s=0.6, node_deadlines="EmbeddedSleep=20") as worker:
        [pid] = engine_pids(tmp_path)
        assert (await worker.result(await worker.job(slow(2.5))))[0] == 200
        assert (engine_pids(tmp_path), await worker.successes()) == ([pid], 1)


async def test_an_engine_that_does_not_start_is_given_up(tmp_path: Path) -> None:
    """After the set number of tries, with what it said last; one that never answers counts as one that ended."""
    logs = tmp_path / "engine.log"
    for code, said in (("print('no CUDA'); raise SystemExit(3)", "no CUDA"), ("import time; time.sleep(9)", "respond")):
        command = EngineCommand([sys.executable, "-c", code], "http://127.0.0.1:9", logs)
        supervisor = Supervisor(command, ComfySettings(tries=2, start_s=0.5))
        with pytest.raises(WorkerFailed, match=said):
            await supervisor.keep()


async def test_the_worker_ends_with_an_engine_that_does_not_come_back(tmp_path: Path) -> None:
    """`serve` says why in one sentence and ends with 1, so that whoever started it knows."""
    comfyui = tmp_path / "ComfyUI"
    comfyui.mkdir()
    (comfyui / "main.py").write_text("raise SystemExit('no room')")
    process = await serve(tmp_path, "--comfyui", str(comfyui), WORKER_ENGINE_TRIES="2")
    _, said = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 1
    assert b"no room" in said.splitlines()[-1]


async def test_comfyui_finds_its_own_modules_whatever_the_worker_was_given(tmp_path: Path) -> None:
    """PYTHONSAFEPATH, which the image sets, would take the folder of main.py off ComfyUI's path."""
    comfyui = tmp_path / "ComfyUI"
    comfyui.mkdir()
    (comfyui / "comfy.py").write_text("WORD = 'comfy is found'")
    (comfyui / "main.py").write_text("import comfy; raise SystemExit(comfy.WORD)")
    process = await serve(tmp_path, "--comfyui", str(comfyui), WORKER_ENGINE_TRIES="1", PYTHONSAFEPATH="1")
    _, said = await asyncio.wait_for(process.communicate(), 10)
    assert b"comfy is found" in said.splitlines()[-1]


async def test_no_engine_outlives_its_worker(tmp_path: Path) -> None:
    """Kill -9 of the worker leaves no engine behind that holds the GPU."""
    process = await serve(tmp_path)
    assert process.stderr
    async with asyncio.timeout(10):
        while b"engine answers" not in await process.stderr.readline():
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
    """At second 0 sampler 3 of prompt p started; ComfyUI answers."""
    found = Observation(answered_at=0.0)
    found.record_message(Executing("p", "3"), PATIENCE, 0.0)
    found.record_poll(look(**given), "us", 0.0)
    return found


def look(running: str | None = "p", pending: int = 0, client_id: str = "us") -> QueueSnapshot:
    return QueueSnapshot(running, CLASSES, client_id, pending)


PATIENCE = SilenceLimits(default_s=900.0, stop_s=10.0, job_s=3600.0)


def test_five_silent_minutes_are_no_trouble_and_an_hour_is() -> None:
    """Only a node past its deadline is stuck; the frames of another prompt's end begin anew."""
    seen = sight()
    seen.record_poll(look(), "us", 899.0)
    assert find_problem(seen, PATIENCE, 30.0, 899.0) is None
    assert find_problem(seen, PATIENCE, 30.0, 901.0) is EngineProblem.STUCK
    seen.record_message(Progress("p", "3", 1, 20), PATIENCE, 902.0)
    assert find_problem(seen, PATIENCE, 30.0, 903.0) is None


def test_a_silence_that_ended_teaches_patience() -> None:
    """A class seen to be silent for long gets three times as long from then on; a declared time stays what it is."""
    patience = SilenceLimits(default_s=900.0, stop_s=10.0, job_s=3600.0, declared={"SaveImage": 60.0})
    seen = sight()
    seen.record_message(Progress("p", "3", 1, 20), patience, 800.0)
    assert patience.with_class("KSampler") == 2400.0
    patience.learn("SaveImage", 500.0)
    assert patience.with_class("SaveImage") == 60.0


def test_a_prompt_that_can_not_be_heard_is_given_the_time_of_a_job() -> None:
    """Submitted under a socket that broke, its frames are lost: silence proves nothing."""
    seen = sight(client_id="an earlier socket")
    seen.record_poll(look(client_id="an earlier socket"), "us", 3599.0)
    assert find_problem(seen, PATIENCE, 30.0, 3599.0) is None
    seen.record_poll(look(client_id="an earlier socket"), "us", 3601.0)
    assert find_problem(seen, PATIENCE, 30.0, 3601.0) is EngineProblem.STUCK


def test_silence_and_standstill_are_told_apart_from_a_start() -> None:
    """No answer is trouble after a while; nobody listening is the supervisor's business; standing still has to last."""
    seen = sight()
    assert find_problem(seen, PATIENCE, 30.0, 31.0) is EngineProblem.DEAF
    seen.record_poll(None, "us", 31.0)
    assert find_problem(seen, PATIENCE, 30.0, 32.0) is None
    for _ in range(3):
        assert find_problem(seen, PATIENCE, 30.0, 32.0) is None
        seen.record_poll(look(running=None, pending=1), "us", 32.0)
    assert find_problem(seen, PATIENCE, 30.0, 32.0) is EngineProblem.STALLED


def test_a_deadline_that_is_none_is_named() -> None:
    """The setting is read at the start."""
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
    """One of them alone may be broken, or missing."""
    assert is_gone(probe, driver) is gone


async def test_probes_are_processes() -> None:
    """What they say is how they end; a program that isn't there says nothing."""
    assert await run_succeeds([sys.executable, "-c", ""])
    assert await run_succeeds([sys.executable, "-c", "raise SystemExit(1)"]) is False
    assert await run_succeeds(["/nowhere/nvidia-smi"]) is None


def test_the_log_stays_bounded(tmp_path: Path) -> None:
    """What is large is moved aside, while the writer goes on."""
    logs = tmp_path / "engine.log"
    with logs.open("ab", buffering=0) as writer:
        writer.write(b"x" * (LOG_LIMIT + 1))
        rotate_log(logs)
        writer.write(b"more\n")
    assert logs.read_bytes() == b"more\n"
    assert (tmp_path / "engine.log.1").stat().st_size == LOG_LIMIT + 1
