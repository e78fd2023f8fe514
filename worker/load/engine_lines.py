"""The jobs that each engine has and is expected to get, in the order in which they run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from worker.load.forecast import Forecast
from worker.load.job_estimate import JobEstimate, KeptForecast
from worker.load.learning.estimator import Estimator
from worker.load.learning.node_results import LineResults
from worker.load.prediction import NOTHING, Prediction

FORECASTS_PER_S, FORECASTS_AT_ONCE = 10.0, 20.0
"""Number of outdated forecasts of waiting jobs that are made again in a second, and at once after some time without
any. A long queue would otherwise cost too much: each job that ends changes what nearly all others follow."""
LOOK_BACK = 30
"""Jobs of a line whose results are expected to be there for the next one."""


@dataclass(slots=True)
class Line:
    """The jobs of one engine in the order in which they run, and the seconds until all of them have run."""

    engine: str
    p50_s: float = 0.0
    p90_s: float = 0.0
    jobs: list[JobEstimate] = field(default_factory=list)
    ends: list[tuple[float, float]] = field(default_factory=list)
    """Seconds until each of the jobs has run, as p50 and p90."""

    @property
    def total(self) -> Prediction:
        """Seconds until the engine has run all of its jobs."""
        return Prediction(self.p50_s, self.p90_s)

    @property
    def files(self) -> frozenset[str]:
        """The model files that the jobs load."""
        return frozenset().union(*(estimate.files for estimate in self.jobs))

    @property
    def results(self) -> LineResults:
        """The results of nodes that the jobs make, as far back as it matters."""
        works = [estimate.work for estimate in self.jobs[-LOOK_BACK:]]
        return LineResults.of(works, len(self.jobs))

    def add(self, estimate: JobEstimate, seconds: Prediction) -> None:
        """Add a job at the end."""
        self.p50_s += seconds.p50_s
        self.p90_s += seconds.p90_s
        self.jobs.append(estimate)
        self.ends.append((self.p50_s, self.p90_s))

    def end_of(self, estimate: JobEstimate) -> Prediction:
        """Return the seconds until a job of the line has run."""
        return Prediction(*self.ends[self.jobs.index(estimate)])


class EngineLines:
    """Makes the lines of engines, and keeps the forecasts of their jobs."""

    def __init__(self, estimator: Estimator) -> None:
        self.estimator = estimator
        self._epoch = 0
        """Number of times that the estimator has learned something."""
        self._kept_s = 0.0
        """Seconds for which an outdated forecast is kept."""
        self._remakes, self._counted_at = FORECASTS_AT_ONCE, 0.0
        """Number of outdated forecasts that may be made again, and when it was counted."""

    def outdate(self) -> None:
        """Record that the estimator has learned something, so that forecasts have to be made again."""
        self._epoch += 1

    def forecast(self, estimate: JobEstimate, line: Line, now: float) -> Forecast:
        """Return the forecast of a job that runs after the jobs of a line."""
        previous = line.jobs[-1].job.folder if line.jobs else ""
        kept = estimate.forecasts.get(line.engine)
        if kept is not None:
            is_valid = kept.epoch == self._epoch or now - kept.made_at < self._kept_s
            if is_valid and kept.previous == previous:
                return kept.forecast
            if estimate.engine is None and not self._may_remake(now):
                return kept.forecast
        forecast = self._forecast(estimate, line)
        estimate.forecasts[line.engine] = KeptForecast(forecast, previous, self._epoch, now)
        return forecast

    def remaining(self, estimate: JobEstimate, line: Line, now: float) -> Prediction:
        """Return the seconds that a job still has to run, after the jobs of a line, at most those until its timeout."""
        if not estimate.needs_engine:
            return NOTHING
        seconds = estimate.run.remaining(now) if estimate.run is not None else self.forecast(estimate, line, now).whole
        return estimate.until_timeout(seconds)

    def of_engine(self, engine: str, placed: Iterable[JobEstimate], blocked: Prediction, now: float) -> Line:
        """Return the line of the jobs that have a place in an engine.

        `blocked` are the seconds for which nodes of jobs that have ended still run there.
        """
        line = Line(engine, blocked.p50_s, blocked.p90_s)
        for estimate in placed:
            line.add(estimate, self.remaining(estimate, line, now))
        return line

    def add_waiting(self, lines: Mapping[str, Line], waiting: Collection[JobEstimate], now: float) -> None:
        """Add the jobs that wait, in order, each to the line in which it is expected to end first."""
        self._kept_s = len(waiting) * len(lines) / FORECASTS_PER_S
        if len(lines) == 1:
            for line in lines.values():
                for estimate in waiting:
                    line.add(estimate, self.remaining(estimate, line, now))
            return
        for estimate in waiting:
            ends = [(line, self.remaining(estimate, line, now)) for line in lines.values()]
            line, seconds = min(ends, key=lambda end: end[0].p50_s + end[1].p50_s)
            line.add(estimate, seconds)

    def _may_remake(self, now: float) -> bool:
        """Return whether an outdated forecast of a waiting job may be made again, and count it."""
        more = FORECASTS_PER_S * max(now - self._counted_at, 0.0)
        self._remakes, self._counted_at = min(self._remakes + more, FORECASTS_AT_ONCE), now
        if self._remakes < 1.0:
            return False
        self._remakes -= 1.0
        return True

    def _forecast(self, estimate: JobEstimate, line: Line) -> Forecast:
        """Make the forecast of a job that runs after the jobs of a line."""
        cached = self.estimator.expect_cached(line.engine, estimate.work, line.results)
        return self.estimator.forecast(line.engine, estimate.work, cached, line.files)
