"""The numbers behind the reports and their corrections."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import pytest

from worker.platforms.vast.ingress.signature_check import AuthData
from worker.platforms.vast.reporting.ledger import Ledger
from worker.platforms.vast.reporting.metrics import ModelMetrics
from worker.platforms.vast.reporting.new_work import MetricsEntry, NewWork
from worker.platforms.vast.sdk import new_entry

GRANT = AuthData("http://127.0.0.1:1", "", request_idx=9, reqnum=3)


@dataclass
class Load:
    """The load and the speed of a worker."""

    cur_load: float = 0.0
    max_perf: float = 40.0


@dataclass
class Metrics:
    """The two attributes of the SDK's metrics that the ledger uses."""

    model_metrics: ModelMetrics
    update_pending: bool = False
    errors: list[str] = field(default_factory=list)


def books() -> tuple[Ledger, ModelMetrics, Metrics]:
    errors: list[str] = []
    model_metrics = ModelMetrics(Load(), lambda: None, errors.append)
    metrics = Metrics(model_metrics, errors=errors)
    ledger = Ledger(metrics, new_entry)
    model_metrics.report_again = ledger.report_soon
    return ledger, model_metrics, metrics


def begin_report(model_metrics: ModelMetrics) -> tuple[float, float]:
    """Return (served, rejected) in the order in which the SDK reads a report."""
    assert model_metrics.workload_processing >= 0
    return model_metrics.workload_served, model_metrics.workload_rejected


def test_work_during_a_report_is_in_the_next_one() -> None:
    """Work that is counted during a report is in the next one (T18)."""
    _, model_metrics, metrics = books()
    model_metrics.workload_served = 100
    assert begin_report(model_metrics) == (100, 0)
    model_metrics.workload_served += 30
    model_metrics.workload_rejected += 5
    model_metrics.reset()
    assert metrics.update_pending
    assert begin_report(model_metrics) == (30, 5)
    model_metrics.reset()
    assert begin_report(model_metrics) == (0, 0)


def test_each_report_is_a_fact() -> None:
    """Each report is an event, accepted or not."""
    reports: list[tuple[bool, float, float]] = []
    model_metrics = ModelMetrics(Load(), lambda: None, lambda _: None, lambda *report: reports.append(report))
    assert model_metrics.max_throughput == 0.0  # not loaded
    model_metrics.max_throughput = 1.0
    begin_report(model_metrics)
    begin_report(model_metrics)
    model_metrics.reset()
    begin_report(model_metrics)
    assert reports == [(False, 0, 40.0), (True, 0, 40.0)]


def test_a_requested_report_follows_the_one_on_its_way() -> None:
    """A requested report is sent after the one that is on its way (T11)."""
    ledger, model_metrics, metrics = books()
    begin_report(model_metrics)
    ledger.report_soon()
    metrics.update_pending = False  # as the SDK does when the answer is there, just before the reset
    model_metrics.reset()
    assert metrics.update_pending
    begin_report(model_metrics)
    metrics.update_pending = False
    model_metrics.reset()
    assert not metrics.update_pending


def test_a_failed_report_is_repeated_in_full() -> None:
    """A failed report is repeated in full, with later work."""
    _, model_metrics, _ = books()
    model_metrics.workload_served = 100
    begin_report(model_metrics)
    model_metrics.workload_served += 30
    assert begin_report(model_metrics) == (130, 0)
    model_metrics.reset()
    assert begin_report(model_metrics) == (0, 0)


def test_a_refused_request_is_rejected_and_given_back() -> None:
    """A rejected request is in `rej_load` and the deletions, and requests a report."""
    ledger, model_metrics, metrics = books()
    ledger.record_rejected(GRANT, 40.0)
    assert begin_report(model_metrics) == (0, 40.0)
    assert metrics.update_pending
    (row,) = ledger.take_deletions()
    assert (row["request_idx"], row["status"], row["success"]) == (9, "Rejected", False)
    assert ledger.take_deletions() == []


def test_a_held_request_is_in_work_until_its_job_ends() -> None:
    """A held request is in work until its job ends, then it is served and deleted once."""
    ledger, model_metrics, _ = books()
    model_metrics.requests_deleting.append(new_entry(request_idx=9, reqnum=3, workload=50.0, status="Success"))
    entry = ledger.hold(GRANT)
    assert entry is not None
    assert (model_metrics.working_request_idxs, model_metrics.requests_deleting) == ([9], [])
    ledger.release(entry, served=True)
    assert (model_metrics.working_request_idxs, model_metrics.workload_served) == ([], 50.0)
    assert [row["request_idx"] for row in ledger.take_deletions()] == [9]


def test_a_held_job_that_fails_is_no_work_done() -> None:
    """A held request of a failed job is deleted without being served."""
    ledger, model_metrics, _ = books()
    model_metrics.requests_deleting.append(new_entry(request_idx=9, reqnum=3, workload=50.0, status="Success"))
    entry = ledger.hold(GRANT)
    assert entry is not None
    ledger.release(entry, served=False)
    assert model_metrics.workload_served == 0
    assert len(ledger.take_deletions()) == 1


def test_a_request_carries_the_units_that_another_one_had() -> None:
    """A request without units gets those of its job when the equal one before it has started none."""
    ledger, model_metrics, _ = books()
    model_metrics.requests_working[3] = entry(0.0)
    assert new_load(model_metrics) == 0.0
    ledger.carry(GRANT, 50.0)
    assert new_load(model_metrics) == 50.0
    assert new_load(model_metrics) == 0.0


def test_a_held_request_whose_client_left_is_cancelled_unless_its_job_completes() -> None:
    """The status of a request without a response is that of its job."""
    for served, status in ((False, "Cancelled"), (True, "Success")):
        ledger, model_metrics, _ = books()
        model_metrics.requests_deleting.append(new_entry(request_idx=9, reqnum=3, workload=50.0, status="Cancelled"))
        held = ledger.hold(GRANT)
        assert held is not None
        ledger.release(held, served=served, has_left=True)
        assert [row["status"] for row in ledger.take_deletions()] == [status]
        assert model_metrics.workload_served == (50.0 if served else 0.0)


def test_a_request_that_the_sdk_does_not_know_is_not_held() -> None:
    """A request that the SDK does not know cannot be held."""
    ledger, model_metrics, _ = books()
    assert ledger.hold(GRANT) is None
    assert model_metrics.working_request_idxs == []


def test_an_error_of_the_sdk_is_passed_on_at_once() -> None:
    """An error of the SDK is passed on at once (T9)."""
    _, model_metrics, metrics = books()
    model_metrics.workload_served = 10
    model_metrics.set_errored("no key")
    assert metrics.errors == ["no key"]
    assert model_metrics.error_msg == "no key"
    assert model_metrics.workload_served == 10


def test_request_numbers_are_counted_and_not_kept() -> None:
    """Request numbers are counted without being stored (T22)."""
    numbers = ModelMetrics(Load(), lambda: None, lambda _: None).requests_recieved
    before = sys.getsizeof(numbers)
    for number in range(1000):
        numbers.add(number)
    assert (len(numbers), sys.getsizeof(numbers)) == (1000, before)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def entry(workload: float, reqnum: int = 3) -> MetricsEntry:
    return new_entry(request_idx=9, reqnum=reqnum, workload=workload, status="Started")


def new_load(model_metrics: ModelMetrics) -> float:
    """Return the new load of a report that is accepted."""
    units = model_metrics.workload_processing
    model_metrics.reset()
    return units


def test_work_counts_once_when_it_arrives() -> None:
    """A request is new load in the first report after its arrival, also if it is done by then."""
    _, model_metrics, _ = books()
    model_metrics.requests_working[3] = entry(50.0)
    del model_metrics.requests_working[3]
    assert [new_load(model_metrics) for _ in range(2)] == [50.0, 0.0]


@pytest.mark.parametrize("status", ["Cancelled", "Rejected"])
def test_work_that_is_withdrawn_before_a_report_never_counts(status: str) -> None:
    """A request that was cancelled or rejected before the next report is no new load."""
    _, model_metrics, _ = books()
    model_metrics.requests_working[3] = withdrawn = entry(50.0)
    withdrawn.status = status
    del model_metrics.requests_working[3]
    assert new_load(model_metrics) == 0.0


def test_a_held_request_does_not_count_twice() -> None:
    """A request whose job goes on after its response is new load once."""
    ledger, model_metrics, _ = books()
    model_metrics.requests_working[3] = running = entry(50.0)
    assert new_load(model_metrics) == 50.0
    model_metrics.requests_deleting.append(model_metrics.requests_working.pop(3))
    assert ledger.hold(GRANT) is running
    assert new_load(model_metrics) == 0.0


def metered(units_per_s: float) -> tuple[ModelMetrics, Clock]:
    clock = Clock()
    new_work = NewWork(lambda: units_per_s, clock)
    return ModelMetrics(Load(), lambda: None, lambda _: None, new_work=new_work), clock


def test_metered_work_counts_at_the_speed_of_an_engine() -> None:
    """With metering each request is new load at the speed of one engine, until all of its units are counted."""
    model_metrics, clock = metered(2.0)
    model_metrics.requests_working[3] = entry(5.0)
    counted = []
    for _ in range(4):
        clock.now += 1.0
        counted.append(new_load(model_metrics))
    assert counted == [2.0, 2.0, 1.0, 0.0]
    model_metrics.requests_working[4], model_metrics.requests_working[5] = entry(9.0, 4), entry(9.0, 5)
    clock.now += 1.0
    assert new_load(model_metrics) == 4.0


def test_the_rest_of_metered_work_counts_when_it_is_done() -> None:
    """A request that is done sooner than its units say counts in full, and one that is cancelled as far as it got."""
    model_metrics, clock = metered(2.0)
    model_metrics.requests_working[3], model_metrics.requests_working[4] = entry(50.0), entry(50.0, 4)
    clock.now += 1.0
    assert new_load(model_metrics) == 4.0
    model_metrics.requests_working.pop(3).status = "Success"
    model_metrics.requests_working.pop(4).status = "Cancelled"
    clock.now += 1.0
    assert [new_load(model_metrics) for _ in range(2)] == [48.0, 0.0]


def test_a_failed_report_does_not_lose_new_work() -> None:
    """What a failed report contained is in the next one, with what was metered since."""
    model_metrics, clock = metered(2.0)
    model_metrics.requests_working[3] = entry(50.0)
    clock.now += 1.0
    assert model_metrics.workload_processing == 2.0
    clock.now += 1.0
    assert new_load(model_metrics) == 4.0
    clock.now += 1.0
    assert new_load(model_metrics) == 2.0
