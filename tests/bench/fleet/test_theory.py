"""The formulas of queueing theory, and short runs against them."""

from __future__ import annotations

import pytest

from bench.fleet.theory import QueueCase, erlang_c, mean_wait_s, trace


def test_the_formulas() -> None:
    """M/M/1 waits load/(1-load) durations, M/D/1 half of it; Erlang C of 2 workers with 1 Erlang is a third."""
    assert erlang_c(1, 0.6) == pytest.approx(0.6)
    assert erlang_c(2, 1.0) == pytest.approx(1 / 3)
    assert QueueCase(1, 0.8).exact_wait_s == pytest.approx(40)
    assert QueueCase(1, 0.8, is_random=False).exact_wait_s == pytest.approx(20)
    with pytest.raises(ValueError, match="several workers"):
        _ = QueueCase(2, 0.8, is_random=False).exact_wait_s


@pytest.mark.parametrize("case", [QueueCase(1, 0.5), QueueCase(3, 0.6), QueueCase(1, 0.6, is_random=False)], ids=str)
def test_a_short_run_is_near_the_formula(case: QueueCase) -> None:
    """20,000 jobs of a fixed seed: within 8 %."""
    assert mean_wait_s(case, trace(case, 20_000)) == pytest.approx(case.exact_wait_s, rel=0.08)


def test_a_trace_has_exact_means() -> None:
    """Both means are scaled, so that the load of the workers is that of the case."""
    case = QueueCase(4, 0.5)
    jobs = trace(case, 1000)
    assert jobs[-1].at_s == pytest.approx(1000 * 10 / (4 * 0.5))
    assert sum(job.seconds for job in jobs) == pytest.approx(10_000)
