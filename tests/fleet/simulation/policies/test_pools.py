"""RunPod's scalers and Modal's pool, on views worked by hand."""

from __future__ import annotations

from tests.fleet.simulation.views import active, totals, view
from worker.fleet.simulation.policies.fixed_workers import FixedWorkers
from worker.fleet.simulation.policies.modal_pool import ModalParameters, ModalPool
from worker.fleet.simulation.policies.runpod_scalers import RunpodParameters, RunpodQueueDelay, RunpodRequestCount
from worker.fleet.simulation.policy import FleetTarget


def test_queue_delay_adds_a_worker_while_a_request_waits_too_long() -> None:
    """More than 4 s add one worker to those that run or start, up to workersMax. Exactly 4 s add none."""
    policy = RunpodQueueDelay(RunpodParameters(workersMax=3))
    views = (
        view(oldest_wait_s=4.0, waiting=1),
        view(oldest_wait_s=4.1, waiting=1),
        view(starting=1, oldest_wait_s=8, waiting=5),
        view(starting=2, ready=1, oldest_wait_s=12, waiting=5),
    )
    assert active(policy, *views) == [0, 1, 2, 3]


def test_queue_delay_stops_workers_after_idle_timeout() -> None:
    """Of three ready workers, one has been idle for 5 s and one for 2 s: two stay. workersMin stays in any case."""
    idle = view(ready=3, idle_s=(5.0, 2.0), in_progress=1)
    assert active(RunpodQueueDelay(RunpodParameters()), idle) == [2]
    assert active(RunpodQueueDelay(RunpodParameters(workersMin=3)), idle) == [3]


def test_request_count_follows_the_requests() -> None:
    """Seven requests with two for each worker need four workers."""
    policy = RunpodRequestCount(RunpodParameters(workersMax=10, requestCount=2))
    assert active(policy, view(waiting=4, in_progress=3, ready=2), view(waiting=99), view()) == [4, 10, 0]


def test_request_count_keeps_workers_until_idle_timeout() -> None:
    """One request is left. Of three workers, one has been idle for long enough."""
    policy = RunpodRequestCount(RunpodParameters(workersMax=10))
    assert active(policy, view(in_progress=1, ready=3, idle_s=(6.0, 1.0))) == [2]


def test_runpod_workers_exist_from_the_start() -> None:
    """A stopped worker is free, so that workersMax exist."""
    assert totals(RunpodQueueDelay(RunpodParameters(workersMax=7)), view()) == [7]


def test_modal_has_a_container_for_each_input_and_a_buffer() -> None:
    """Five inputs, two for each container, and one in reserve: four. Without inputs there is no buffer."""
    policy = ModalPool(ModalParameters(concurrency=2, buffer_containers=1, min_containers=1))
    assert active(policy, view(waiting=3, in_progress=2), view()) == [4, 1]


def test_modal_stops_containers_after_scaledown_window() -> None:
    """Two of three containers have been idle for a minute and stop. A stopped container no longer exists."""
    policy = ModalPool(ModalParameters(max_containers=3))
    assert policy.decide(view(ready=3, in_progress=1, idle_s=(61.0, 60.0))) == FleetTarget(1, 1)
    assert policy.decide(view(ready=3, in_progress=1, idle_s=(61.0, 59.0))) == FleetTarget(2, 2)
    assert policy.decide(view(waiting=50)) == FleetTarget(3, 3)


def test_fixed_workers_stay() -> None:
    """Nothing changes their number."""
    assert active(FixedWorkers(4), view(), view(ready=4, waiting=100)) == [4, 4]
