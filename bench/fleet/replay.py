"""A trace played in real time, with real workers and Vast's own client, compared with the simulation of the same."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.fleet.part import FleetPart, FleetRow
from bench.load.plots import Axis, Plot, Series
from worker.fleet.simulation.arrivals import DAY, Demand, ramping
from worker.fleet.simulation.job_mix import MixItem
from worker.fleet.simulation.load_report import LoadReport
from worker.fleet.simulation.outcome import FleetOutcome
from worker.fleet.simulation.platform import BootTimes, SimulatedPlatform
from worker.fleet.simulation.policies.vast_parameters import VastParameters
from worker.fleet.simulation.policies.vast_readings import VastReading
from worker.fleet.simulation.run.fleet_run import simulate
from worker.fleet.simulation.scenario import FleetScenario, QueueTimeRouting
from worker.fleet.simulation.summary import WaitFigures
from worker.simulators.vast_fleet.comparison import Comparison, as_played, compare
from worker.simulators.vast_fleet.overhead import ReplayOverhead
from worker.simulators.vast_fleet.replay import ReplayResult, ReplaySetup, replay

SPEED = 10.0
MINUTES, SHORT_MINUTES = 30.0, 5.0
LEAST_WAIT_S = 20.0
"""Median wait that the simulation has at least."""
SHARE, SECONDS = 0.15, 3.0
TARGET = f"equal / within max({SHARE:.0%}, {SECONDS:.0f} s), simulated p50 >= {LEAST_WAIT_S:.0f} s"
MIX = (MixItem("flux-dev", 3, 12.9, 12.9), MixItem("wan22-i2v", 1, 60.0, 60.0))
"""Pictures, and a short video in every fourth job: 24.7 seconds in the mean."""
PARAMETERS = VastParameters(min_load=1.9, cold_mult=1.0, cold_workers=2, max_workers=6)
"""Two to six workers. None is kept inactive, because each start of a process takes time of this machine's two cores."""
BOOT = BootTimes(starting_s=150.0, spread=0.0, slow_share=0.0, fail_share=0.0)
"""A stopped worker takes longer than on Vast, because its process needs up to 15 real seconds on a busy machine."""


@dataclass(frozen=True, slots=True)
class ReplayCase:
    """A replay: the reading of the autoscaler, the mean load, its growth over the trace, and the seed."""

    reading: VastReading
    jobs_a_day: float
    growth: float
    seed: int

    def __str__(self) -> str:
        """Return what tells it from the other ones."""
        return f"reading {self.reading}, seed {self.seed}"

    def scenario(self, minutes: float) -> FleetScenario:
        """Return the scenario of a trace of this length."""
        demand = Demand(self.jobs_a_day, minutes * 60 / DAY, MIX, self.seed)
        return FleetScenario(
            ramping(demand, growth=self.growth),
            lambda: self.reading.policy(PARAMETERS),
            SimulatedPlatform(BOOT),
            QueueTimeRouting(PARAMETERS.max_queue_time),
            LoadReport(),
            ready_at_start=2,
            seed=self.seed,
        )


CASES = (
    ReplayCase(VastReading.FORECAST, 19_000, 2.0, 202),
    ReplayCase(VastReading.UTILISATION, 17_000, 3.0, 204),
    ReplayCase(VastReading.QUEUE, 19_000, 2.0, 201),
)
"""Each has another reading of the autoscaler. Loads and seeds were chosen in the simulation alone, with the default
report: the waits are long enough, and do not jump when each job is some tenths of a second longer."""


NOTE_HEAD = (
    "| replay | added to each job | reported speed | p50 / p90 simulated without them | latest start | load average |",
    "|---|---|---|---|---|---|",
)


@dataclass(frozen=True, slots=True)
class PlayedCase:
    """A replay and what it is compared with. `load` is the load average of the machine after it."""

    case: ReplayCase
    replay: ReplayResult
    comparison: Comparison
    load: float


def measure(*, short: bool) -> FleetPart:
    """Play the cases, and return a row for each of them."""
    minutes = SHORT_MINUTES if short else MINUTES
    played = [uvloop.run(_play(case, minutes)) for case in (CASES[:1] if short else CASES)]
    return FleetPart(
        [_row(each, minutes) for each in played],
        [_note(played, minutes)],
        {f"fleet-replay-{each.case.reading}.svg": _plot(each).svg() for each in played},
    )


async def _play(case: ReplayCase, minutes: float) -> PlayedCase:
    """Play a case in a folder that is removed at the end."""
    scenario = case.scenario(minutes)
    with tempfile.TemporaryDirectory(prefix="bench-fleet-") as folder:
        result = await replay(scenario, ReplaySetup(SPEED, Path(folder), _environment()))
    return PlayedCase(case, result, compare(scenario, result), os.getloadavg()[0])


def _environment() -> dict[str, str]:
    """Return this process's environment without settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WORKER_")}


def _row(played: PlayedCase, minutes: float) -> FleetRow:
    """Return the row of a case."""
    ours, theirs = played.comparison.replayed, played.comparison.simulated
    ready = {sample.ready for sample in played.replay.outcome.samples}
    p50, p90 = WaitPair(ours.waits.p50_s, theirs.waits.p50_s), WaitPair(ours.waits.p90_s, theirs.waits.p90_s)
    length = f"{minutes:.0f} minutes of a trace in {minutes / SPEED:g} minutes"
    return FleetRow(
        f"replay of {length}, {min(ready)} to {max(ready)} workers, {played.case}",
        f"{ours.served} of {ours.jobs} jobs, simulated {theirs.served} / p50 {p50}, p90 {p90}",
        TARGET,
        ours.served == theirs.served and theirs.waits.p50_s >= LEAST_WAIT_S and p50.is_near and p90.is_near,
    )


@dataclass(frozen=True, slots=True)
class WaitPair:
    """A wait of the replay and that of the simulation, in seconds of the trace."""

    played_s: float
    simulated_s: float

    @property
    def is_near(self) -> bool:
        """Whether they are as close as the target says."""
        return abs(self.played_s - self.simulated_s) <= max(SHARE * self.simulated_s, SECONDS)

    def __str__(self) -> str:
        """Return both."""
        return f"{self.played_s:.1f} s, simulated {self.simulated_s:.1f} s"


def _note(played: Sequence[PlayedCase], minutes: float) -> str:
    """Return the table of what the replays add to a job, and of the simulation without it."""
    return "\n".join([*NOTE_HEAD, *(_note_line(each, minutes) for each in played)])


def _note_line(played: PlayedCase, minutes: float) -> str:
    """Return the line of a case."""
    scenario, overhead = played.case.scenario(minutes), played.replay.overhead
    plain = as_played(scenario, ReplayOverhead())
    reported = (played.replay.perf or math.nan) / (scenario.report.perf(scenario.jobs) * scenario.speed)
    waits = WaitFigures.of(simulate(plain).waits_s())
    added = f"{overhead.running_s:.2f} s + {overhead.idle_s:.2f} s"
    without = f"{waits.p50_s:.1f} s / {waits.p90_s:.1f} s"
    cells = (str(played.case), added, f"{reported:.1%}", without, f"{played.replay.late_s:.1f} s", f"{played.load:.1f}")
    return "| " + " | ".join(cells) + " |"


def _plot(played: PlayedCase) -> Plot:
    """Return the waits of all jobs in order, played and simulated."""
    replayed, simulated = played.replay.outcome, played.comparison.simulation
    series = [
        Series("simulated", _ordered(simulated), "grey", is_line=True),
        Series("played", _ordered(replayed), "blue", is_line=True),
    ]
    longest = max([seconds for each in series for seconds, _ in each.points], default=1.0)
    return Plot(
        f"Waits of the jobs of a replay, {played.case}",
        Axis("seconds of the trace", 0, longest),
        Axis("share of the jobs that waited no longer", 0, 1, percent=True),
        series,
    )


def _ordered(outcome: FleetOutcome) -> list[tuple[float, float]]:
    """Return pairs of a wait and the share of the jobs that waited no longer."""
    waits = sorted(outcome.waits_s())
    return [(seconds, number / len(waits)) for number, seconds in enumerate(waits, 1)]
