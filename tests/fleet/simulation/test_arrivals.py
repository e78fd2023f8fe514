"""Tests of the generators of traces. Each draws from a fixed seed, so the numbers are the same in every run."""

from __future__ import annotations

from collections import Counter
from statistics import mean, variance

import pytest

from worker.fleet.simulation.arrivals import ArrivalPattern, Demand, bursty, daily, generated, ramping, steady
from worker.fleet.simulation.job_mix import HOUR, PICTURES, MixItem, mean_seconds, with_videos
from worker.fleet.simulation.trace import TraceJob

BUSY = Demand(50_000, seed=3)


def by_hour(jobs: list[TraceJob]) -> Counter[int]:
    return Counter(int(job.at_s // HOUR) for job in jobs)


@pytest.mark.parametrize("pattern", list(ArrivalPattern))
def test_same_seed_gives_the_same_sorted_trace(pattern: ArrivalPattern) -> None:
    """A generator returns the same sorted trace for the same seed, and another one for another seed."""
    jobs = generated(pattern, Demand(2000, seed=1))
    assert jobs == generated(pattern, Demand(2000, seed=1))
    assert jobs != generated(pattern, Demand(2000, seed=2))
    assert jobs == sorted(jobs, key=lambda job: job.at_s)
    assert 0 <= jobs[0].at_s <= jobs[-1].at_s < 24 * HOUR


@pytest.mark.parametrize("pattern", list(ArrivalPattern))
def test_number_of_jobs_follows_the_rate(pattern: ArrivalPattern) -> None:
    """Each pattern has the asked number of jobs a day in the mean over 20 seeds."""
    counts = [len(generated(pattern, Demand(2000, days=2, seed=seed))) for seed in range(20)]
    assert mean(counts) == pytest.approx(4000, rel=0.03)


def test_steady_arrivals_are_a_poisson_process() -> None:
    """The counts in one-minute bins of a steady trace have a variance equal to their mean."""
    counts = Counter(int(job.at_s // 60) for job in steady(BUSY))
    bins = [counts[minute] for minute in range(24 * 60)]
    assert variance(bins) / mean(bins) == pytest.approx(1, abs=0.1)


def test_daily_trace_peaks_at_its_hour() -> None:
    """A daily trace has its peak at the peak hour, with the asked ratio to the mean."""
    counts = by_hour(daily(BUSY, peak_hour=9.5, peak_ratio=3))
    assert max(counts, key=lambda hour: counts[hour]) == 9
    assert counts[9] / (counts.total() / 24) == pytest.approx(3, rel=0.06)
    assert counts[21] < counts[9] / 10


def test_peak_ratio_of_one_is_steady() -> None:
    """A daily trace with a peak ratio of 1 has the same rate in every hour."""
    counts = by_hour(daily(BUSY, peak_ratio=1))
    assert min(counts.values()) > 0.9 * max(counts.values())


def test_bursts_are_longer_than_chance() -> None:
    """A bursty trace has many more jobs in its busiest minutes than a steady one."""
    counts = Counter(int(job.at_s // 60) for job in bursty(BUSY))
    bins = [counts[minute] for minute in range(24 * 60)]
    assert variance(bins) / mean(bins) > 10
    assert max(bins) > 4 * mean(bins)


def test_bursts_of_more_than_all_jobs_are_an_error() -> None:
    """Bursts that would have more jobs than the trace raise an error that names the limit."""
    with pytest.raises(ValueError, match="at most 1"):
        bursty(BUSY, burst_ratio=20, share=0.1)


def test_ramp_grows_to_its_ratio() -> None:
    """The last hour of a ramp has about `growth` times the jobs of the first."""
    counts = by_hour(ramping(BUSY, growth=10))
    assert 7 < counts[23] / counts[0] < 9  # in the middle of these hours the ratio is 8.2
    falling = by_hour(ramping(BUSY, growth=0.1))
    assert 7 < falling[0] / falling[23] < 9


def test_mix_has_its_shares_and_mean_seconds() -> None:
    """A trace has the kinds of its mix by weight, and the mean seconds of each kind."""
    jobs = steady(BUSY)
    counts = Counter(job.kind for job in jobs)
    assert counts["sdxl"] / len(jobs) == pytest.approx(0.4, abs=0.01)
    assert mean(job.seconds for job in jobs) == pytest.approx(mean_seconds(PICTURES), rel=0.02)
    assert {job.units for job in jobs if job.kind == "sdxl"} == {3.8}


def test_mix_changes_no_arrival() -> None:
    """Two mixes have the same arrival times, so that results differ only by the work of the jobs."""
    pictures = steady(Demand(1000))
    videos = steady(Demand(1000, mix=with_videos(PICTURES, 0.15)))
    assert [job.at_s for job in pictures] == [job.at_s for job in videos]


@pytest.mark.parametrize("alternate", [False, True])
def test_videos_have_their_share(alternate: bool) -> None:
    """Videos have their share of all jobs; alternating ones arrive only in odd hours."""
    mix = with_videos(PICTURES, 0.15, alternate=alternate)
    jobs = steady(Demand(50_000, mix=mix))
    videos = [job for job in jobs if job.kind == "wan22-i2v"]
    assert len(videos) / len(jobs) == pytest.approx(0.15, abs=0.01)
    assert {int(job.at_s // HOUR) % 2 for job in videos} == ({1} if alternate else {0, 1})
    assert mean(job.seconds for job in jobs) == pytest.approx(mean_seconds(mix), rel=0.03)


def test_share_of_videos_has_a_limit() -> None:
    """More alternating videos than all jobs of their hours are an error."""
    with pytest.raises(ValueError, match=r"below 0\.5"):
        with_videos(PICTURES, 0.5, alternate=True)


def test_kind_without_spread_takes_its_seconds() -> None:
    """Jobs of a kind without spread all take its seconds."""
    jobs = steady(Demand(1000, mix=[MixItem("a", 1, 2.0, 3.0, 0)]))
    assert {(job.units, job.seconds) for job in jobs} == {(2.0, 3.0)}
