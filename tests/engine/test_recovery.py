"""Tests of recovery: a job survives one failure of ComfyUI, and is to blame for the second one."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from pathlib import Path

import pytest

from tests.engine.supervised import supervised
from tests.engines import start_engine
from tests.jobs.test_restart import served
from tests.workflows import failing, faulty, picture, slow
from worker.engine.crashes.attempts import Attempts
from worker.engine.crashes.history import CrashHistory, CrashRecord
from worker.engine.engine import ExclusiveLock
from worker.engine.run import PromptLoss
from worker.job import InputFile, Job, JobRequest


async def test_out_of_memory_once_is_survived(tmp_path: Path) -> None:
    """A job runs again after ComfyUI ran out of memory and freed it."""
    async with supervised(tmp_path) as worker:
        assert (await worker.result(await worker.job(faulty("oom"))))[0] == 200
        runs = await worker.runs()
        kept = [data["nodes"] for run in runs for name, data in run["status"]["messages"] if name == "execution_cached"]
        assert kept == [[], []]


async def test_out_of_memory_twice_fails_the_job(tmp_path: Path) -> None:
    """A job that runs out of memory twice fails with that reason, and later jobs run."""
    async with supervised(tmp_path) as worker:
        jobs = [await worker.job(workflow) for workflow in (faulty("oom;times=0"), picture())]
        status, body = await worker.result(jobs[0])
        assert (status, body["error"]["code"], body["error"]["retryable_elsewhere"]) == (422, "out_of_memory", True)
        assert (await worker.result(jobs[1]))[0] == 200
        assert len(await worker.runs()) == 3


async def test_a_node_that_raises_is_not_tried_again(tmp_path: Path) -> None:
    """A job with a node that raises fails without another run."""
    async with supervised(tmp_path) as worker:
        status, body = await worker.result(await worker.job(failing()))
        assert (status, body["error"]["code"]) == (422, "node_failed")
        assert len(await worker.runs()) == 1


async def test_a_crash_costs_no_job(tmp_path: Path) -> None:
    """The running and the waiting jobs succeed after a crash, with the files of the last run only."""
    crashing = faulty("crash", 0.2)
    crashing["5"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "early"}}
    async with supervised(tmp_path) as worker:
        jobs = [await worker.job(workflow) for workflow in (crashing, picture(), picture(), picture())]
        results = [await worker.result(job) for job in jobs]
        assert [(status, len(body["outputs"])) for status, body in results] == [(200, 2), (200, 1), (200, 1), (200, 1)]
        assert await worker.successes() == 4


async def test_a_resumed_stream_has_no_outputs_of_a_lost_run(tmp_path: Path) -> None:
    """A stream that is resumed has no outputs of a lost run."""
    crashing = faulty("crash", 0.2)
    crashing["5"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "early"}}
    async with supervised(tmp_path) as worker:
        job = await worker.job(crashing)
        assert (await worker.result(job))[0] == 200
        async with worker.http.get(f"{worker.app.url}/jobs/{job['id']}/events?token={job['token']}") as stream:
            events = [line[7:] async for line in stream.content if line.startswith(b"event: ")]
        assert events.count(b"output\n") == 2
        assert events[-1] == b"result\n"


async def test_a_job_runs_alone_after_a_crash(tmp_path: Path) -> None:
    """No other job is submitted while a job runs again after a crash."""
    async with supervised(tmp_path) as worker:
        suspect = await worker.job(slow(60, steps=600))
        await worker.state(suspect, "generating")
        worker.signal(signal.SIGKILL)
        async with asyncio.timeout(60):
            while worker.app.engines.connected:
                await asyncio.sleep(0.01)
            await worker.app.engines.first.socket.wait_until_open(60)
            while not (await worker.engine_says("/queue"))["queue_running"]:
                await asyncio.sleep(0.02)
        other = await worker.job(picture())
        await worker.state(other, "waiting")
        await asyncio.sleep(0.2)
        assert (await worker.engine_says("/queue"))["queue_pending"] == []
        await worker.delete(f"/jobs/{suspect['id']}", suspect["token"])
        assert (await worker.result(other))[0] == 200


@pytest.mark.parametrize("pause_s", [0.0, 0.3], ids=["before it says a word", "in its middle"])
async def test_a_job_that_crashes_comfyui_twice_is_blocked(tmp_path: Path, pause_s: float) -> None:
    """A job that crashes ComfyUI twice fails, and is rejected when it is sent again."""
    crashing = faulty("crash;times=0", pause_s)
    async with supervised(tmp_path) as worker:
        jobs = [await worker.job(workflow) for workflow in (crashing, picture(), picture())]
        status, body = await worker.result(jobs[0])
        assert (status, body["error"]["code"], body["error"]["fault"]) == (422, "job_crashes_engine", "job")
        assert [(await worker.result(job))[0] for job in jobs[1:]] == [200, 200]
        before = len(await worker.runs())
        status, body = await worker.post("/generate/sync", {"workflow": crashing})
        assert (status, body["error"]["code"]) == (422, "job_crashes_engine")
        assert len(await worker.runs()) == before
        assert (await worker.post("/generate/sync", {"workflow": faulty("slow", pause_s)}))[0] == 200


async def test_a_broken_gpu_context_is_answered_by_a_restart(tmp_path: Path) -> None:
    """ComfyUI is restarted after a simulated GPU failure, and the job runs again."""
    async with supervised(tmp_path) as worker:
        jobs = [await worker.job(workflow) for workflow in (faulty("cuda", 0.2), picture(), picture())]
        assert [(await worker.result(job))[0] for job in jobs] == [200] * 3


async def test_a_broken_gpu_of_an_unmanaged_engine_fails_the_job(tmp_path: Path) -> None:
    """A job fails with GpuFailed when the worker cannot restart ComfyUI."""
    with start_engine(tmp_path / "engine") as engine:
        async with supervised(tmp_path, comfyui=engine.url) as worker:
            status, body = await worker.post("/generate/sync", {"workflow": faulty("cuda")})
            assert (status, body["error"]["code"], body["error"]["retryable"]) == (503, "gpu_failed", True)


async def test_a_late_history_makes_nothing_run_twice(tmp_path: Path) -> None:
    """A prompt in neither queue nor history for a moment is not sent again."""
    async with supervised(tmp_path) as worker:
        job = await worker.job(faulty("drop,late;seconds=1.5", 0.2))
        assert (await worker.result(job))[0] == 200
        async with worker.http.post(
            worker.app.engines.first.api.base_url + "/prompt", json={"prompt": picture()}
        ) as answer:
            assert (await answer.json())["number"] == 1  # as many were sent before


async def test_a_job_that_ends_the_worker_three_times_is_blocked(tmp_path: Path) -> None:
    """A job is not run a fourth time after worker and ComfyUI died with it three times."""
    with start_engine(tmp_path / "engine") as engine:
        async with served(engine, tmp_path / "state") as worker:
            _, job = await worker.post("/generate", {"workflow": slow(30, steps=300)})
            for _ in range(3):
                await worker.running()
                await worker.end()
                engine.kill()
                await worker.start()
                engine.restart()
            status, body = await worker.result(job)
            assert (status, body["error"]["code"]) == (422, "job_crashes_engine")


async def test_ordered_restarts_block_no_job(tmp_path: Path) -> None:
    """A job that is handed back at several shutdowns is not blamed."""
    with start_engine(tmp_path / "engine") as engine:
        async with served(engine, tmp_path / "state") as worker:
            _, job = await worker.post("/generate", {"workflow": slow(1, steps=50)})
            for _ in range(3):
                await worker.running()
                await worker.end(signal.SIGTERM)
                engine.kill()
                await worker.start()
                engine.restart()
            assert (await worker.result(job))[0] == 200


def test_a_job_lost_twice_in_waiting_runs_alone() -> None:
    """`record_loss` runs a job alone after its second loss in waiting, but not after evictions."""
    attempts = Attempts(request(1), Job("a", request(1)).ref)
    assert [attempts.record_loss(PromptLoss.NOT_ACCEPTED) for _ in range(5)] == [False] * 5
    assert [attempts.record_loss(PromptLoss.EVICTED) for _ in range(5)] == [False] * 5
    assert not attempts.alone
    assert [attempts.record_loss(PromptLoss.WAITING), attempts.alone] == [False, False]
    assert [attempts.record_loss(PromptLoss.WAITING), attempts.alone] == [False, True]
    assert attempts.record_loss(PromptLoss.WAITING)
    assert not attempts.record_loss(PromptLoss.NOT_ACCEPTED)
    assert not attempts.record_loss(PromptLoss.EVICTED)


async def test_the_exclusive_lock_lets_one_job_run_alone() -> None:
    """A job that holds the lock alone waits for the others, and later jobs wait for it."""
    gate = ExclusiveLock()
    seen: list[str] = []

    async def visit(name: str, *, alone: bool = False) -> None:
        async with gate.hold(alone=alone):
            seen.append(name)
            await asyncio.sleep(0)
            seen.append(name)

    gone = asyncio.create_task(visit("gone", alone=True))
    async with gate.hold():
        await asyncio.sleep(0)
        gone.cancel()
        tasks = [asyncio.create_task(visit(name, alone=name == "alone")) for name in ("alone", "a", "b")]
        await asyncio.sleep(0.01)
        assert seen == []
    await asyncio.gather(*tasks)
    assert seen == ["alone", "alone", "a", "b", "a", "b"]


def request(color: int, title: str = "", data: bytes = b"") -> JobRequest:
    graph = {"1": {"class_type": "EmptyImage", "inputs": {"color": color}, "_meta": {"title": title}}}
    return JobRequest(graph, inputs=(InputFile("a.png", Path("a.png"), len(data), hashlib.sha256(data).hexdigest()),))


@pytest.mark.parametrize(
    ("crashes", "blocked"),
    [
        ([], False),
        ([True], False),
        ([False], False),
        ([True, False], False),
        ([False, False], False),
        ([True, True], True),
        ([True, False, False], True),
        ([False, False, False], True),
    ],
)
def test_crashes_that_block_a_job(crashes: list[bool], blocked: bool) -> None:
    """A job is blocked after two observed crashes or three in all."""
    record = CrashRecord({f"prompt-{number}": seen for number, seen in enumerate(crashes)})
    assert record.is_blocked is blocked


def test_crash_records_are_found_by_what_runs(tmp_path: Path) -> None:
    """The crash history identifies a job by inputs and files, not by titles, also after a restart."""
    crash_history = CrashHistory(tmp_path / "suspects.json", 60)
    crash_history.add(request(1), "p", "one death", observed=True)
    crash_history.add(request(1, "named"), "q", "another", observed=True)
    again = CrashHistory(tmp_path / "suspects.json", 60)
    found = again.find(request(1, "other"))
    assert found
    assert found.is_blocked
    assert again.find(request(2)) is None
    assert again.find(request(1, data=b"x")) is None
    again.clear(request(1))
    assert CrashHistory(tmp_path / "suspects.json", 60).find(request(1)) is None


def test_crashes_are_forgotten_and_not_counted_twice(tmp_path: Path) -> None:
    """The crash history counts a crash once, drops old ones and ignores a broken file."""
    crash_history = CrashHistory(tmp_path / "suspects.json", 60)
    for life in range(5):
        assert not crash_history.add(request(1), "p", f"death of life {life}", observed=False).is_blocked
    assert CrashHistory(tmp_path / "suspects.json", 0).find(request(1)) is None
    (tmp_path / "suspects.json").write_text("{")
    assert CrashHistory(tmp_path / "suspects.json", 60).find(request(1)) is None
