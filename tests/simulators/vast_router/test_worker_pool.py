"""The choice of a worker for the next request, without a clock or a socket."""

from __future__ import annotations

from worker.simulators.vast_router.fault_config import RouterFaultConfig
from worker.simulators.vast_router.report_log import ReportLog, StatusReport
from worker.simulators.vast_router.router import Router
from worker.simulators.vast_router.waiting_requests import PAUSE_S
from worker.simulators.vast_router.worker_pool import FORGET_S, WorkerPool


def said(worker_id: int, **fields: object) -> StatusReport:
    ready = {"url": f"http://127.0.0.1:{worker_id}", "loadtime": 1.0, "max_perf": 10.0}
    return StatusReport(id=worker_id, **(ready | fields))  # type: ignore[arg-type]


def fleet_of(*statuses: StatusReport) -> WorkerPool:
    fleet = WorkerPool()
    for status in statuses:
        fleet.report(status, now=0.0)
    return fleet


def chosen(fleet: WorkerPool, now: float = 1.0, max_queue_time_s: float | None = None) -> int | None:
    member = fleet.choose(now, silence_s=30.0, max_queue_time_s=max_queue_time_s)
    return None if member is None else member.status.id


def test_the_worker_that_would_be_done_first_is_chosen() -> None:
    """The worker that would finish first is chosen, by the seconds of its load."""
    assert chosen(fleet_of(said(1, cur_load=50.0), said(2, cur_load=60.0, max_perf=100.0))) == 2


def test_workers_that_are_loading_broken_or_silent_get_nothing() -> None:
    """A worker that is not loaded, not measured, in error or silent for 30 s is not chosen."""
    assert chosen(fleet_of(said(1, loadtime=0.0), said(2, max_perf=0.0), said(3, error_msg="down"))) is None
    assert chosen(fleet_of(said(4)), now=31.0) is None


def test_requests_on_their_way_count_until_the_worker_counts_them() -> None:
    """An assigned request counts until the worker reports it."""
    fleet = fleet_of(said(1), said(2))
    assert chosen(fleet) == 1
    fleet.assign(fleet.members[1], request_idx=7, cost=100.0, now=1.0)
    assert chosen(fleet) == 2
    assert fleet.members[1].load == 100.0
    fleet.report(said(1, cur_load=100.0, working_request_idxs=(7,)), now=2.0)
    assert fleet.members[1].load == 100.0
    fleet.report(said(1), now=3.0)
    assert fleet.members[1].load == 0.0


def test_a_request_that_no_worker_mentions_is_forgotten() -> None:
    """A request that the worker never reports stops counting."""
    fleet = fleet_of(said(1))
    fleet.assign(fleet.members[1], request_idx=7, cost=100.0, now=0.0)
    fleet.report(said(1), now=FORGET_S)
    chosen(fleet, now=FORGET_S + 1)
    assert fleet.members[1].load == 0.0


def test_requests_wait_at_the_router_when_every_queue_is_long() -> None:
    """No worker is chosen while all have more than `max_queue_time` of work."""
    fleet = fleet_of(said(1, cur_load=301.0), said(2, cur_load=400.0))
    assert chosen(fleet, max_queue_time_s=30.0) is None
    assert chosen(fleet, max_queue_time_s=31.0) == 1


def test_reqnums_are_unique_per_worker() -> None:
    """Every request of a worker has another reqnum."""
    router = Router("comfy", ReportLog())
    router.fleet.report(said(1), now=0.0)
    answers = [router.route(0, 100.0, 1.0, RouterFaultConfig()) for _ in range(5)]
    assert [answer["reqnum"] for answer in answers] == [1, 2, 3, 4, 5]


def test_a_retry_keeps_its_number_and_frees_its_first_worker() -> None:
    """A retry keeps its number and counts only at its new worker."""
    router = Router("comfy", ReportLog())
    for worker_id in (1, 2):
        router.fleet.report(said(worker_id), now=0.0)
    first = router.route(0, 100.0, 1.0, RouterFaultConfig())
    router.fleet.report(said(1, error_msg="down"), now=1.0)
    second = router.route(int(str(first["request_idx"])), 100.0, 1.0, RouterFaultConfig())
    assert second["request_idx"] == first["request_idx"]
    assert second["url"] == "http://127.0.0.1:2"
    assert router.fleet.members[1].load == 0.0


def test_a_paused_worker_gets_nothing() -> None:
    """A paused worker gets no request, until it is resumed. A late report of a removed one does not bring it back."""
    router = Router("comfy", ReportLog())
    router.fleet.report(said(1), now=0.0)
    router.pause(1)
    assert chosen(router.fleet) is None
    router.resume(1)
    assert chosen(router.fleet) == 1
    router.remove(1)
    router.fleet.report(said(1), now=1.0)
    assert chosen(router.fleet) is None
    router.resume(1)
    assert chosen(router.fleet) == 1


def test_a_worker_is_idle_from_its_report_on() -> None:
    """A worker is idle since its first report without a request, and not while it has one."""
    fleet = fleet_of(said(1, working_request_idxs=(7,)))
    member = fleet.members[1]
    assert (member.idle_since, member.requests) == (None, 1)
    for now in (2.0, 3.0):
        fleet.report(said(1), now=now)
    assert (member.idle_since, member.requests) == (2.0, 0)
    fleet.assign(member, request_idx=8, cost=1.0, now=4.0)
    assert (member.idle_since, member.requests) == (None, 1)
    fleet.report(said(1, working_request_idxs=(8,)), now=5.0)
    assert member.requests == 1


def test_requests_that_are_held_get_workers_in_their_order() -> None:
    """While an earlier request is held, or its client is about to ask again, a later one gets no worker."""
    router, config = Router("comfy", ReportLog()), RouterFaultConfig()
    for now in (0.0, 1.0):
        router.route(0, 100.0, now, config)
    router.waiting.hold(1, until=10.0)
    router.waiting.hold(2, until=10.0)
    router.fleet.report(said(1), now=2.0)
    assert [router.can_assign(number, 2.0, config) for number in (1, 2)] == [True, False]
    assert [router.can_assign(number, 10.0 + PAUSE_S, config) for number in (1, 2)] == [True, False]
    assert router.can_assign(2, 10.1 + PAUSE_S, config)
    assert [request.since for request in router.waiting.present(3.0)] == [0.0, 1.0]
    assert "url" in router.route(1, 100.0, 3.0, config)
    assert "url" in router.route(2, 100.0, 3.0, config)
    assert not router.waiting.present(3.0)


def test_a_client_that_is_gone_waits_no_longer() -> None:
    """A waiting request is forgotten when its client has not asked for a minute."""
    router, config = Router("comfy", ReportLog()), RouterFaultConfig()
    router.route(0, 100.0, 0.0, config)
    router.route(0, 50.0, 10.0, config)
    router.route(1, 100.0, 59.0, config)
    assert [request.cost for request in router.waiting.present(FORGET_S + 11.0)] == [100.0]
