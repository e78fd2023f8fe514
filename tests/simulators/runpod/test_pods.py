"""Workers that the stand-in starts: scaling, restart, stop and what is left of them."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.simulators.runpod.endpoint import PlainEndpoint, plain_endpoint
from worker.simulators.runpod import PodOptions, PodScaling
from worker.simulators.runpod.pods.pod_pool import PodPool
from worker.simulators.runpod.pods.scaling import (
    PodActivity,
    PodDemand,
    wanted_workers,
    workers_to_start,
    workers_to_stop,
)
from worker.simulators.runpod.queue_pods import queue_pod_events

PROGRAM = Path(__file__).with_name("plain_pod.py")
LIMIT_S = 30.0


@asynccontextmanager
async def pods(folder: Path, scaling: PodScaling, **assumptions: Any) -> AsyncIterator[tuple[PlainEndpoint, PodPool]]:
    """Run the stand-in with workers of its own."""
    options = PodOptions([sys.executable, str(PROGRAM)], folder, scaling=scaling)
    async with plain_endpoint(pods=options, **{"restart_pause_s": 0.05, **assumptions}) as endpoint:
        pool = endpoint.runpod.pods
        assert pool
        yield endpoint, pool


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.02)


async def result(endpoint: PlainEndpoint, **given: Any) -> Any:
    """Run a job and return its state."""
    status, body = await endpoint.post("runsync?wait=30000", {"input": given})
    assert status == 200, body
    return body


QUEUE_DELAY = PodScaling(min_workers=1, max_workers=3, queue_delay_s=4)
REQUEST_COUNT = PodScaling(max_workers=3, request_count=2)


@pytest.mark.parametrize(
    ("scaling", "waited_s", "in_progress", "expected"),
    [
        (QUEUE_DELAY, [], 0, 1),
        (QUEUE_DELAY, [3.9, 0], 1, 1),
        (QUEUE_DELAY, [4.0, 0], 1, 2),
        (QUEUE_DELAY, [9.0] * 9, 0, 3),
        (REQUEST_COUNT, [], 0, 0),
        (REQUEST_COUNT, [0], 0, 1),
        (REQUEST_COUNT, [0, 0], 1, 2),
        (REQUEST_COUNT, [0] * 50, 1, 3),
    ],
)
def test_the_wanted_number(scaling: PodScaling, waited_s: list[float], in_progress: int, expected: int) -> None:
    """Each scaler stays between the limits."""
    assert wanted_workers(scaling, PodDemand(waited_s, in_progress)) == expected


@pytest.mark.parametrize(
    ("wanted", "running", "expected"),
    [(0, 0, ([], 0)), (1, 1, ([], 0)), (2, 1, (["a"], 0)), (2, 0, (["a"], 0)), (5, 1, (["a"], 2)), (1, 3, ([], 0))],
)
def test_ended_workers_start_again_before_new_ones(wanted: int, running: int, expected: tuple[list[str], int]) -> None:
    """Only while workers are missing, and after their pause, during which no new worker takes their place."""
    assert workers_to_start(wanted, running, [("a", 9.0), ("b", 11.0)], 10.0) == expected


def test_the_longest_idle_workers_stop_first() -> None:
    """Busy and starting workers are kept, and no more stop than are too many."""
    pods = [PodActivity("a", 6), PodActivity("b", None), PodActivity("c", 9), PodActivity("d", 1)]
    assert workers_to_stop(QUEUE_DELAY, 1, pods) == ["c", "a"]
    assert workers_to_stop(QUEUE_DELAY, 3, pods) == ["c"]
    assert workers_to_stop(QUEUE_DELAY, 4, pods) == []


async def test_workers_start_for_jobs_and_stop_when_idle(tmp_path: Path) -> None:
    """Three jobs of a second start three workers. After the idle timeout none is left, with exit code 0."""
    scaling = PodScaling(max_workers=3, idle_timeout_s=0.5, queue_delay_s=0)
    async with pods(tmp_path, scaling) as (endpoint, pool):
        states = await asyncio.gather(*(result(endpoint, op="sleep", s=1) for _ in range(3)))
        assert {state["status"] for state in states} == {"COMPLETED"}
        assert len({state["output"][0] for state in states}) == 3
        await until(lambda: not pool.pods)
        assert [pod.exit_codes for pod in pool.ended] == [[0]] * 3


async def test_jobs_of_low_priority_start_no_worker(tmp_path: Path) -> None:
    """They wait for a worker that another job starts."""
    async with pods(tmp_path, PodScaling(max_workers=1, queue_delay_s=0)) as (endpoint, pool):
        low = await endpoint.run(policy={"lowPriority": True})
        assert queue_pod_events(endpoint.runpod.state, dict).demand().waited_s == []
        assert not pool.pods
        await endpoint.run()
        await until(lambda: endpoint.runpod.state.jobs.counts[low].accepted == 1)


async def test_a_worker_that_dies_starts_again_and_its_job_too(tmp_path: Path) -> None:
    """After SIGKILL the worker has the same id and folder, and the job runs once more."""
    async with pods(tmp_path, PodScaling(min_workers=1)) as (endpoint, pool):
        job_id = await endpoint.run({"op": "sleep", "s": 1})
        await until(lambda: endpoint.runpod.state.jobs.counts[job_id].taken == 1)
        pool.send_signal("pod-1", signal.SIGKILL)
        await until(lambda: endpoint.runpod.state.jobs.counts[job_id].accepted == 1)
        counts = endpoint.runpod.state.jobs.counts[job_id]
        assert (counts.taken, counts.lost, counts.workers) == (2, 1, ["pod-1", "pod-1"])
        assert pool.pods["pod-1"].exit_codes == [-signal.SIGKILL]


async def test_stop_pod_ends_the_worker_after_the_result(tmp_path: Path) -> None:
    """A result with `stopPod` is stored. The worker ends, and another takes its place."""
    async with pods(tmp_path, PodScaling(min_workers=1)) as (endpoint, pool):
        state = await result(endpoint, op="stop")
        assert (state["status"], state["output"][0]) == ("COMPLETED", "pod-1")
        await until(lambda: [pod.id for pod in pool.ended] == ["pod-1"] and set(pool.pods) == {"pod-2"})
        assert (await result(endpoint))["output"][0] == "pod-2"


async def test_a_worker_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """After the grace it gets SIGKILL."""
    async with pods(tmp_path, PodScaling(min_workers=1), stop_grace_s=0.3) as (endpoint, pool):
        await result(endpoint, op="ignore")
        pool.stop("pod-1")
        await until(lambda: pool.ended)
        assert pool.ended[0].exit_codes == [-signal.SIGKILL]


async def test_a_silent_worker_is_replaced(tmp_path: Path) -> None:
    """A worker that has stopped answering is lost, is killed, and its job goes to another."""
    switches = {"lost_after_s": 3.0, "stop_grace_s": 0.1}
    async with pods(tmp_path, PodScaling(min_workers=1), **switches) as (endpoint, pool):
        await result(endpoint)
        pool.send_signal("pod-1", signal.SIGSTOP)
        job_id = await endpoint.run()
        await until(lambda: endpoint.runpod.state.jobs.counts[job_id].accepted == 1)
        assert endpoint.runpod.state.jobs.counts[job_id].workers[-1] == "pod-2"


async def test_no_process_of_a_worker_outlives_it(tmp_path: Path) -> None:
    """A child in a session of its own ends with the worker, as in a container."""
    async with pods(tmp_path, PodScaling(min_workers=1)) as (endpoint, pool):
        child = (await result(endpoint, op="child"))["output"]
        assert is_running(child)
        pool.send_signal("pod-1", signal.SIGKILL)
        await until(lambda: pool.pods["pod-1"].starts == 2)
        assert not is_running(child)


def is_running(pid: int) -> bool:
    """Return whether a process runs. One that has ended may stay as a zombie, without a command line."""
    path = Path(f"/proc/{pid}/cmdline")
    return path.exists() and bool(path.read_bytes())
