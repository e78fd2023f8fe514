"""How well jobs are predicted whose true seconds come from another model. `bench/load` measures it on more jobs."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass

import pytest

from tests.load.learning.synthetic_jobs import SyntheticMachine
from worker.load.gpu_classes import REFERENCE
from worker.load.learning.drift import Drift
from worker.load.learning.estimator import Estimator, NodeRun
from worker.load.prediction import Prediction

ENGINE = "engine-0"


@dataclass
class PlayedJob:
    """A job that ran. `runs` counts the jobs of its workflow before it."""

    group: object
    predicted: Prediction
    seconds: float
    runs: int


@dataclass
class Played:
    """The jobs of a machine, and the changes of its speed that were noticed, by the number of the job."""

    jobs: list[PlayedJob]
    drifts: dict[int, Drift]

    def floor(self) -> dict[object, float]:
        """Return the median seconds of each group, which only hindsight knows."""
        seconds = defaultdict(list)
        for job in self.jobs:
            seconds[job.group].append(job.seconds)
        return {group: statistics.median(values) for group, values in seconds.items()}


def play(machine: SyntheticMachine, jobs: int, estimator: Estimator | None = None) -> Played:
    """Predict each job, then learn from it."""
    estimator = estimator or Estimator({ENGINE: REFERENCE})
    runs: Counter[object] = Counter()
    played = Played([], {})
    for number, job in enumerate(machine.jobs(jobs)):
        predicted = estimator.job(ENGINE, job.work)
        for node in job.work.nodes:
            estimator.learn(ENGINE, NodeRun(node, job.seconds[node.node_id]))
        drift = estimator.job_ended(ENGINE, job.work)
        if drift is not None:
            played.drifts[number] = drift
        played.jobs.append(PlayedJob(job.group, predicted, sum(job.seconds.values()), runs[job.group]))
        runs[job.group] += 1
    return played


def quantiles(errors: list[float]) -> tuple[float, float]:
    """Return the median and the 90 % quantile."""
    ordered = sorted(errors)
    return statistics.median(ordered), ordered[int(0.9 * len(ordered))]


@pytest.mark.parametrize("jobs_are_slow_together", [False, True])
@pytest.mark.parametrize("seed", [901, 902])
def test_after_50_jobs_a_workflow_the_error_is_that_of_hindsight(seed: int, jobs_are_slow_together: bool) -> None:
    """The median error is within 3 points of hindsight's, the 90 % quantile within 7, and p90 covers about 90 %."""
    machine = SyntheticMachine(seed, throttle_after=900, jobs_are_slow_together=jobs_are_slow_together)
    played = play(machine, 1500)
    floor = played.floor()
    late = [job for job in played.jobs if job.runs >= 50]
    median, p90 = quantiles([abs(job.predicted.p50_s / job.seconds - 1) for job in late])
    floor_median, floor_p90 = quantiles([abs(floor[job.group] / job.seconds - 1) for job in late])
    covered = statistics.fmean(job.seconds <= job.predicted.p90_s for job in late)
    assert len(late) > 400
    assert median < floor_median + 0.03
    assert p90 < floor_p90 + 0.07
    assert 0.85 < covered < 0.96


def test_the_third_job_of_a_workflow_is_predicted_well() -> None:
    """After two jobs of a workflow, half of the predictions are within 10 %, and p90 covers at least 80 %."""
    jobs = [job for seed in range(20) for job in play(SyntheticMachine(seed, shapes=6), 60).jobs if 2 <= job.runs < 5]
    median, _ = quantiles([abs(job.predicted.p50_s / job.seconds - 1) for job in jobs])
    assert median < 0.1
    assert statistics.fmean(job.seconds <= job.predicted.p90_s for job in jobs) > 0.8


def test_a_throttled_gpu_is_noticed() -> None:
    """A GPU that becomes slower for good is noticed within 20 jobs, with a factor that is about right."""
    for seed in (911, 912, 913):
        machine = SyntheticMachine(seed, shapes=8, throttle_after=400)
        drifts = {number: drift.factor for number, drift in play(machine, 440).drifts.items() if number >= 400}
        first = min(drifts)
        assert first < 420
        assert drifts[first] == pytest.approx(machine.throttle, rel=0.25)


@pytest.mark.parametrize("jobs_are_slow_together", [False, True])
def test_noise_is_no_change_of_the_machine(jobs_are_slow_together: bool) -> None:
    """10,000 jobs with noise and outliers raise no alarm."""
    for seed in range(4):
        machine = SyntheticMachine(seed, shapes=5, jobs_are_slow_together=jobs_are_slow_together)
        assert play(machine, 2500).drifts == {}
