"""The numbers behind the reports: what is told, what is kept for the next time, what is taken back."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from worker.platforms.vast.counters import Counters
from worker.platforms.vast.grant import Grant
from worker.platforms.vast.ledger import Ledger
from worker.platforms.vast.sdk import new_entry

GRANT = Grant("http://127.0.0.1:1", "", request_idx=9, reqnum=3)


@dataclass
class Metrics:
    """The two attributes of the SDK's metrics that the ledger uses."""

    model_metrics: Counters
    update_pending: bool = False
    errors: list[str] = field(default_factory=list)


def books() -> tuple[Ledger, Counters, Metrics]:
    errors: list[str] = []
    counters = Counters(lambda: None, errors.append)
    metrics = Metrics(counters, errors=errors)
    ledger = Ledger(metrics, new_entry)
    counters.more = ledger.report_soon
    return ledger, counters, metrics


def told(counters: Counters) -> tuple[float, float]:
    """(served, rejected) as the SDK takes them for a report: `workload_processing` first."""
    assert counters.workload_processing >= 0
    return counters.workload_served, counters.workload_rejected


def test_what_comes_during_a_report_is_told_in_the_next() -> None:
    """The SDK would set everything to zero once the answer is there (T18)."""
    _, counters, metrics = books()
    counters.workload_served = 100
    assert told(counters) == (100, 0)
    counters.workload_served += 30
    counters.workload_rejected += 5
    counters.reset()
    assert metrics.update_pending
    assert told(counters) == (30, 5)
    counters.reset()
    assert told(counters) == (0, 0)


def test_a_wish_to_report_outlives_the_report_on_its_way() -> None:
    """Becoming ready during a report would be told ten seconds late: the SDK takes the wish for fulfilled (T11)."""
    ledger, counters, metrics = books()
    told(counters)
    ledger.report_soon()
    metrics.update_pending = False  # as the SDK does when the answer is there, just before the reset
    counters.reset()
    assert metrics.update_pending
    told(counters)
    metrics.update_pending = False
    counters.reset()
    assert not metrics.update_pending


def test_a_report_that_was_never_answered_takes_nothing_off() -> None:
    """Told again in full, with what came since."""
    _, counters, _ = books()
    counters.workload_served = 100
    told(counters)
    counters.workload_served += 30
    assert told(counters) == (130, 0)
    counters.reset()
    assert told(counters) == (0, 0)


def test_a_refused_request_is_rejected_and_given_back() -> None:
    """Its work is in `rej_load`, its number in the next deletions, and a report is due."""
    ledger, counters, metrics = books()
    ledger.refuse(GRANT, 40.0)
    assert told(counters) == (0, 40.0)
    assert metrics.update_pending
    (row,) = ledger.take_deletions()
    assert (row["request_idx"], row["status"], row["success"]) == (9, "Rejected", False)
    assert ledger.take_deletions() == []


def test_a_held_request_is_load_until_its_job_ends() -> None:
    """Taken back from the deletions, in `cur_load` and the working numbers, then served and deleted once."""
    ledger, counters, _ = books()
    counters.requests_deleting.append(new_entry(request_idx=9, reqnum=3, workload=50.0, status="Success"))
    entry = ledger.hold(GRANT)
    assert entry is not None
    assert (counters.cur_load, counters.working_request_idxs, counters.requests_deleting) == (50.0, [9], [])
    ledger.release(entry, served=True)
    assert (counters.cur_load, counters.workload_served) == (0, 50.0)
    assert [row["request_idx"] for row in ledger.take_deletions()] == [9]


def test_a_held_job_that_fails_is_no_work_done() -> None:
    """Given back all the same."""
    ledger, counters, _ = books()
    counters.requests_deleting.append(new_entry(request_idx=9, reqnum=3, workload=50.0, status="Success"))
    entry = ledger.hold(GRANT)
    assert entry is not None
    ledger.release(entry, served=False)
    assert counters.workload_served == 0
    assert len(ledger.take_deletions()) == 1


def test_a_request_that_the_sdk_does_not_know_is_not_held() -> None:
    """Nothing to hold, nothing made up."""
    ledger, counters, _ = books()
    assert ledger.hold(GRANT) is None
    assert counters.cur_load == 0


def test_an_error_of_the_sdk_is_heard_at_once() -> None:
    """It would be reported for ever, and be seen by nobody in this process (T9)."""
    _, counters, metrics = books()
    counters.workload_served = 10
    counters.set_errored("no key")
    assert metrics.errors == ["no key"]
    assert counters.error_msg == "no key"
    assert counters.workload_served == 10


def test_request_numbers_are_counted_and_not_kept() -> None:
    """The SDK's set of them grows for as long as the process lives (T22)."""
    numbers = Counters(lambda: None, lambda _: None).requests_recieved
    before = sys.getsizeof(numbers)
    for number in range(1000):
        numbers.add(number)
    assert (len(numbers), sys.getsizeof(numbers)) == (1000, before)
