"""Messages of a run that are handled late do not time its nodes."""

from __future__ import annotations

import pytest

from worker.load.forecast import Forecast
from worker.load.job_run import SETTLE_S, JobRun
from worker.load.node_work import NodeWork
from worker.load.prediction import Prediction

NODES = {str(number): NodeWork(str(number), "KSampler") for number in range(5)}


def run() -> JobRun:
    """Return a run of five nodes that has started at 0 s."""
    return JobRun(
        {}, NODES, Forecast("engine-0", Prediction(5.0, 6.0), dict.fromkeys(NODES, Prediction(1.0, 1.2))), 0.0
    )


def measured(job: JobRun, now: float) -> dict[str, float]:
    """Return the seconds of the nodes that are known at the end of a run."""
    return {each.node.node_id: each.seconds for each in job.measured(now, succeeded=True)}


def test_nodes_that_change_around_the_end_of_a_block_are_not_measured() -> None:
    """Messages that arrived during a block are handled at its end, before or after it is noticed."""
    job = run()
    job.start_node("0", 0.0)
    job.start_node("1", 1.0)
    job.start_node("2", 2.0)  # the loop was blocked until now, and this message was handled first
    job.note_block(2.0 + SETTLE_S / 2)
    job.start_node("3", 2.0 + SETTLE_S)
    job.start_node("4", 4.0)
    assert measured(job, 5.0) == {"0": 1.0, "4": 1.0}


def test_a_block_in_the_middle_of_a_node_changes_nothing() -> None:
    """A node that starts before and ends after a block is measured."""
    job = run()
    job.start_node("0", 0.0)
    job.note_block(5.0)
    job.start_node("1", 10.0)
    assert measured(job, 12.0) == {"0": 10.0, "1": 2.0}


@pytest.mark.parametrize(
    ("engine_s", "own_s", "in_time"),
    [(10.0, 10.1, True), (10.0, 8.0, True), (10.0, 6.0, False), (0.5, 0.001, False), (0.01, 0.05, True)],
)
def test_the_duration_of_a_run_is_compared_with_comfyuis(engine_s: float, own_s: float, in_time: bool) -> None:
    """A run whose messages arrive together is shorter by the worker's clock than by ComfyUI's."""
    job = run()
    assert job.keeps_time(1_700_000_000.0, 50.0)
    assert job.keeps_time(1_700_000_000.0 + engine_s, 50.0 + own_s) == in_time
