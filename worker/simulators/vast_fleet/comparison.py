"""The replay and the simulation of one scenario, side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace

from worker.fleet.simulation.outcome import FleetOutcome
from worker.fleet.simulation.run.fleet_run import simulate
from worker.fleet.simulation.scenario import FleetScenario
from worker.fleet.simulation.summary import FleetSummary, summarise
from worker.simulators.vast_fleet.overhead import ReplayOverhead
from worker.simulators.vast_fleet.replay import ReplayResult


@dataclass(frozen=True, slots=True)
class Comparison:
    """The figures of a replay and of the simulation, and the simulation itself."""

    replayed: FleetSummary
    simulated: FleetSummary
    simulation: FleetOutcome


def compare(scenario: FleetScenario, replay: ReplayResult) -> Comparison:
    """Simulate the scenario as it was played, and return the figures of both."""
    simulation = simulate(as_played(scenario, replay.overhead, replay.perf))
    platform = scenario.platform
    return Comparison(summarise(replay.outcome, platform), summarise(simulation, platform), simulation)


def as_played(scenario: FleetScenario, overhead: ReplayOverhead, perf: float | None = None) -> FleetScenario:
    """Return the scenario with what a replay does differently.

    Every start takes its mean time, no machine fails, a job takes exactly the seconds of the trace, and each occupies
    its worker for the overhead too. Workers report the units a second that they have measured, if `perf` is given.
    """
    boot = replace(scenario.platform.boot, spread=0.0, slow_share=0.0, fail_share=0.0)
    extra_s = overhead.seconds * scenario.speed
    return replace(
        scenario,
        jobs=[replace(job, seconds=job.seconds + extra_s) for job in scenario.jobs],
        platform=replace(scenario.platform, boot=boot, failures_per_hour=0.0),
        report=replace(scenario.report, measured=None if perf is None else perf / scenario.speed),
        duration_spread=0.0,
        speed_spread=0.0,
    )
