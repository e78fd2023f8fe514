"""The options of `comfy-worker fleet trace` for patterns of arrivals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import typer

from worker.cli.usage import UsageFailure
from worker.fleet.simulation.arrivals import ArrivalPattern, Demand, generated
from worker.fleet.simulation.job_mix import MIXES, MixName, with_videos
from worker.fleet.simulation.trace import TraceJob

Pattern = Annotated[ArrivalPattern | None, typer.Option(help="Make arrivals with this pattern instead.")]
JobsADay = Annotated[float, typer.Option(min=1, max=10_000_000, help="Jobs of a pattern in 24 hours.")]
Days = Annotated[float, typer.Option(min=0.01, max=366, help="Length of a pattern in days.")]
Mix = Annotated[MixName, typer.Option(help="Kinds of jobs of a pattern.")]
Videos = Annotated[float, typer.Option(min=0, max=0.99, help="Share of videos among a pattern's jobs.")]
Alternate = Annotated[bool, typer.Option("--alternate", help="Videos arrive only in every second hour.")]
PeakHour = Annotated[float | None, typer.Option(min=0, max=24, help="Hour of the peak of `daily`. Default: 20.")]
PeakRatio = Annotated[
    float | None, typer.Option(min=1, max=50, help="Peak rate of `daily` divided by the mean rate. Default: 2.5.")
]
BurstRatio = Annotated[
    float | None, typer.Option(min=1, max=10, help="Rate in bursts of `bursty` divided by the mean rate. Default: 6.")
]
Growth = Annotated[
    float | None, typer.Option(min=0.001, max=1000, help="Last rate of `ramping` divided by its first. Default: 10.")
]
Seed = Annotated[int, typer.Option(help="Seed of a pattern's random numbers.")]


@dataclass(frozen=True, slots=True)
class PatternChoice:
    """What the options ask for. `shape` has the parameters of single patterns, None for those that are not given."""

    pattern: ArrivalPattern
    jobs_a_day: float
    days: float
    mix: MixName
    videos: float
    alternate: bool
    seed: int
    shape: dict[str, float | None] = field(default_factory=dict)

    def jobs(self) -> list[TraceJob]:
        """Return the jobs. Raises UsageFailure for options that contradict each other."""
        shape = {name: value for name, value in self.shape.items() if value is not None}
        try:
            mix = MIXES[self.mix]
            if self.videos:
                mix = with_videos(mix, self.videos, alternate=self.alternate)
            jobs = generated(self.pattern, Demand(self.jobs_a_day, self.days, mix, self.seed), **shape)
        except TypeError as error:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in shape)
            step = "Run `comfy-worker fleet trace --help` to see which pattern an option is for."
            raise UsageFailure(f"the pattern {self.pattern} does not use all of {names}", step) from error
        except ValueError as error:
            raise UsageFailure(str(error), "Choose a smaller share or ratio.") from error
        if not jobs:
            raise UsageFailure("no job arrives in this time", "Choose more --jobs-a-day or more --days.")
        return jobs
