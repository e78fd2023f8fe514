"""Tests of nodes that go on after their job has ended."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

from tests.engine.supervised import Supervised, engine_pids, supervised
from tests.engines import start_engine
from tests.workflows import faulty, picture, slow
from worker.engine.health.silence_limits import MOST_LEARNED_CLASSES, SilenceLimits
from worker.engine.leftovers import KillBudget


async def stuck(worker: Supervised, seconds: float = 60.0, **more: object) -> dict:
    """Return a job whose node has begun and ignores interrupts."""
    job = await worker.job(slow(seconds), **more)
    await worker.inside(job)
    return job


async def delete(worker: Supervised, job: dict) -> tuple[int, dict]:
    return await worker.delete(f"/jobs/{job['id']}", job["token"])


async def until_ready(worker: Supervised) -> None:
    async with asyncio.timeout(60):
        while (await worker.get("/ready"))[0] != 200:
            await asyncio.sleep(0.05)


async def test_a_stuck_node_of_a_job_that_timed_out_frees_the_engine(tmp_path: Path) -> None:
    """ComfyUI is restarted for the stuck node of a job that timed out, without blaming the job."""
    async with supervised(tmp_path, node_stop_s=1.0) as worker:
        [pid] = engine_pids(tmp_path)
        first = await stuck(worker, timeout_s=4.0)
        behind = [await worker.job(picture()) for _ in range(3)]
        status, body = await worker.result(first)
        assert (status, body["error"]["code"]) == (422, "timeout")
        status, body = await worker.get("/ready")
        assert (status, body["error"]["code"]) == (503, "engine_unavailable")
        assert "EmbeddedSleep" in body["error"]["message"]
        assert (await worker.get("/capabilities"))[1]["engines"][0]["state"] == "stopping a node"
        assert [(await worker.result(job))[0] for job in behind] == [200] * 3
        assert engine_pids(tmp_path) != [pid]
        assert (await worker.get("/ready"))[0] == 200
    assert not (tmp_path / "suspects.json").exists()


async def test_a_cancelled_job_whose_node_goes_on_is_said_to_be_stopping(tmp_path: Path) -> None:
    """Cancelling returns 202 while a node goes on, and the final state afterwards."""
    async with supervised(tmp_path, node_stop_s=0.6) as worker:
        job = await stuck(worker)
        status, body = await delete(worker, job)
        assert (status, body) == (202, {"id": job["id"], "cancelled": True, "status": "cancelled", "stopping": True})
        await until_ready(worker)
        status, body = await delete(worker, job)
        assert (status, body) == (200, {"id": job["id"], "cancelled": False, "status": "cancelled"})


async def test_a_stuck_node_of_a_client_that_left_frees_the_engine(tmp_path: Path) -> None:
    """The engine is freed after a synchronous client disconnects from a stuck node."""
    async with supervised(tmp_path, node_stop_s=0.5, hangup_grace_s=0.2) as worker:
        client = asyncio.create_task(worker.post("/generate/sync", {"workflow": slow(60)}))
        await worker.inside()
        client.cancel()
        async with asyncio.timeout(60):
            assert (await worker.post("/generate/sync", {"workflow": picture()}))[0] == 200


async def test_a_waiting_job_that_is_cancelled_costs_no_restart(tmp_path: Path) -> None:
    """Cancelling a waiting job does not affect the running one."""
    async with supervised(tmp_path, node_stop_s=0.2) as worker:
        [pid] = engine_pids(tmp_path)
        running = await worker.job(slow(60, steps=600))
        await worker.inside(running)
        waiting = await worker.job(slow(60))
        await worker.state(waiting, "waiting")
        async with asyncio.timeout(60):
            while not (await worker.engine_says("/queue"))["queue_pending"]:
                await asyncio.sleep(0.02)
        assert (await delete(worker, waiting))[0] == 200
        assert (await worker.get("/ready"))[0] == 200
        assert (await worker.get(f"/jobs/{running['id']}", running["token"]))[1]["status"] == "pending"
        await delete(worker, running)
        assert (await worker.result(await worker.job(picture())))[0] == 200
        assert engine_pids(tmp_path) == [pid]


async def test_the_end_of_a_node_is_noticed_without_a_frame(tmp_path: Path) -> None:
    """The end of a leftover is found by polling when the WebSocket receives nothing."""
    async with supervised(tmp_path, node_stop_s=60.0) as worker:
        job = await worker.job(faulty("deaf,slow;seconds=8"), timeout_s=4.0)
        assert (await worker.result(job))[0] == 422
        assert (await worker.get("/ready"))[0] == 503
        assert (await worker.result(await worker.job(picture())))[0] == 200


async def test_a_class_with_long_steps_has_longer(tmp_path: Path) -> None:
    """A node of a class with long steps may take three times its longest step to stop."""
    async with supervised(tmp_path, node_stop_s=1.0) as worker:
        [pid] = engine_pids(tmp_path)
        assert (await worker.result(await worker.job(slow(1.0))))[0] == 200
        job = await stuck(worker, 2.0)
        await delete(worker, job)
        assert (await worker.result(await worker.job(picture())))[0] == 200
        assert engine_pids(tmp_path) == [pid]


async def test_a_job_that_times_out_as_it_ends_costs_no_restart(tmp_path: Path) -> None:
    """A job that ends at its timeout causes no restart."""
    async with supervised(tmp_path, node_stop_s=10.0) as worker:
        [pid] = engine_pids(tmp_path)
        for number in range(8):
            job = await worker.job(slow(0.15), timeout_s=0.14 + number * 0.008)
            assert (await worker.result(job))[0] in {200, 422}
        assert (await worker.result(await worker.job(picture())))[0] == 200
        assert engine_pids(tmp_path) == [pid]


async def test_a_principal_may_cost_the_others_three_restarts_an_hour(tmp_path: Path) -> None:
    """The fourth stuck node of a principal within an hour is waited for instead of a restart."""
    async with supervised(tmp_path, node_stop_s=0.1) as worker:
        for _ in range(2):
            worker.app.engines.kills.record_kill("local", time.monotonic())
        [first] = engine_pids(tmp_path)
        await delete(worker, await stuck(worker))
        await until_ready(worker)
        [pid] = engine_pids(tmp_path)
        assert pid != first
        assert (await delete(worker, await stuck(worker, 6.0)))[0] == 202
        assert "so other jobs wait" in (await worker.get("/ready"))[1]["error"]["message"]
        assert (await worker.result(await worker.job(picture())))[0] == 200
        assert engine_pids(tmp_path) == [pid]


async def test_a_stuck_node_of_an_unmanaged_comfyui_is_waited_for(tmp_path: Path) -> None:
    """/ready reports a stuck node of a ComfyUI that the worker cannot restart."""
    with start_engine(tmp_path / "engine") as engine:
        async with supervised(tmp_path / "state", comfyui=engine.url, node_stop_s=0.2) as worker:
            assert (await delete(worker, await stuck(worker, 6.0)))[0] == 202
            status, body = await worker.get("/ready")
            assert (status, "cannot restart a ComfyUI that it did not start" in body["error"]["message"]) == (503, True)
            assert (await worker.get("/health"))[0] == 200
            assert (await worker.result(await worker.job(picture())))[0] == 200
            assert (await worker.get("/ready"))[0] == 200


async def test_one_of_two_engines_is_stuck(tmp_path: Path) -> None:
    """The worker stays ready and runs jobs on the other engine while one is blocked."""
    async with supervised(tmp_path, gpus="2", node_stop_s=60.0) as worker:
        await worker.app.engines.wait_until_settled()
        first = await stuck(worker, timeout_s=4.0)
        assert (await worker.result(first))[0] == 422
        assert (await worker.get("/ready"))[0] == 200
        jobs = [await worker.job(picture()) for _ in range(4)]
        assert [(await worker.result(job))[0] for job in jobs] == [200] * 4
        assert worker.engine_of(first) not in {worker.engine_of(job) for job in jobs}
        states = {one["name"]: one["state"] for one in (await worker.get("/capabilities"))[1]["engines"]}
        assert states[str(worker.engine_of(first))] == "stopping a node"


async def test_jobs_behind_a_stuck_node_move_to_another_engine(tmp_path: Path) -> None:
    """Jobs that wait behind a stuck node move to another engine and run once."""
    async with supervised(tmp_path, gpus="2", node_stop_s=60.0) as worker:
        await worker.app.engines.wait_until_settled()
        first = await stuck(worker, timeout_s=4.0)
        others = [await worker.job(slow(0.3)) for _ in range(5)]
        [blocked] = [engine for engine in worker.app.engines.engines if engine.name == worker.engine_of(first)]
        while not (await blocked.api.poll_queue(5.0)).pending:  # type: ignore[union-attr]
            await asyncio.sleep(0.02)
        assert (await worker.result(first))[0] == 422
        assert [(await worker.result(job))[0] for job in others] == [200] * 5
        assert worker.engine_of(first) not in {worker.engine_of(job) for job in others}
        look = await blocked.api.poll_queue(5.0)
        assert look is not None
        assert (look.pending, look.running is None) == (0, False)


async def test_a_comfyui_that_answers_nothing_beside_its_node_is_killed_too(tmp_path: Path) -> None:
    """A ComfyUI that does not respond while a leftover runs is killed."""
    async with supervised(tmp_path, node_stop_s=1.0) as worker:
        job = await stuck(worker, timeout_s=4.0)
        worker.signal(signal.SIGSTOP)
        assert (await worker.result(job))[0] == 422
        async with asyncio.timeout(60):
            assert (await worker.post("/generate/sync", {"workflow": picture()}))[0] == 200


async def test_a_worker_ends_in_time_beside_a_stuck_node(tmp_path: Path) -> None:
    """A worker shuts down in time although a leftover runs."""
    async with supervised(tmp_path, node_stop_s=60.0) as worker:
        job = await stuck(worker, timeout_s=4.0)
        assert (await worker.result(job))[0] == 422
        assert (await worker.get("/ready"))[0] == 503
        began = time.monotonic()
    assert time.monotonic() - began < 45.0
    assert not engine_pids(tmp_path)


def test_the_longest_interval_of_a_class_counts() -> None:
    """`after_interrupt` allows three times the longest interval of the slowest class, within bounds."""
    limits = SilenceLimits(default_s=900.0, stop_s=10.0, job_s=3600.0)
    for name, seconds in (("Short", 2.0), ("Long", 8.0), ("Longest", 40.0)):
        limits.learn(name, seconds)
    assert [limits.after_interrupt(name) for name in ("Unseen", "Short", "Long", "Longest")] == [10.0, 10.0, 24.0, 60.0]
    assert limits.after_interrupt("Short", "Long") == 24.0
    assert limits.after_interrupt() == 10.0
    assert SilenceLimits(default_s=900.0, stop_s=90.0, job_s=3600.0).after_interrupt("Unseen") == 90.0


def test_the_memory_of_intervals_is_bounded() -> None:
    """SilenceLimits keeps the classes with the longest intervals."""
    limits = SilenceLimits(default_s=900.0, stop_s=10.0, job_s=3600.0)
    for number in range(2 * MOST_LEARNED_CLASSES):
        limits.learn(f"Class{number}", 5.0 + number)
    assert len(limits.longest_silences) == MOST_LEARNED_CLASSES
    assert f"Class{2 * MOST_LEARNED_CLASSES - 1}" in limits.longest_silences


def test_kills_are_counted_by_principal_and_hour() -> None:
    """KillBudget allows each principal three kills within an hour."""
    kills = KillBudget()
    for at in (0.0, 1000.0, 2000.0):
        assert kills.allows("a", at)
        kills.record_kill("a", at)
    assert not kills.allows("a", 2001.0)
    assert kills.allows("b", 2001.0)
    assert not kills.allows("a", 3599.0)
    assert kills.allows("a", 3600.0)
