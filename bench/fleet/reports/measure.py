"""Measures the regret of all reports, on all cores."""

from __future__ import annotations

import multiprocessing

from bench.fleet.part import FleetPart, FleetRow
from bench.fleet.reports.cases import PAIRS, PATTERNS, READINGS, REPORTS, SEEDS, ReportCase
from bench.fleet.reports.regret import Regrets
from bench.fleet.reports.tables import notes, percent
from bench.fleet.reports.tuning import TunedFleet, TuningTask, tune
from worker.platforms.vast.settings import VastSettings

TARGET = "is the default of the worker"
SHORT_PATTERNS = ("daily",)


def measure(*, short: bool) -> FleetPart:
    """Return the regret of the reports, and whether the worker's default is the pair with the smallest."""
    regrets = Regrets(_tuned(short=short))
    best, second = regrets.best(PAIRS)[:2]
    measured = (
        f"{best.settings}: at most {percent(regrets.worst(best.name))} more GPU hours than the best report "
        f"({second.name}: {percent(regrets.worst(second.name))})"
    )
    default = default_pair()
    row = FleetRow(
        "what the worker reports: the pair of settings with the smallest worst-case regret",
        measured,
        TARGET,
        best.name == default.name,
    )
    return FleetPart([row], notes(regrets, default.name, PAIRS))


def _tuned(*, short: bool) -> list[TunedFleet]:
    """Return the tuned fleets of all reports, readings, patterns and seeds."""
    patterns, seeds = (SHORT_PATTERNS, SEEDS[:2]) if short else (tuple(PATTERNS), SEEDS)
    tasks = [
        TuningTask(case, reading, pattern, seed)
        for pattern in patterns
        for seed in seeds
        for reading in READINGS
        for case in REPORTS
    ]
    with multiprocessing.Pool() as pool:
        return pool.map(tune, tasks, chunksize=1)


def default_pair() -> ReportCase:
    """Return the pair that the worker has without any setting."""
    settings = VastSettings()
    pair = settings.running, settings.metering
    return next(case for case in PAIRS if (case.report.running, case.report.metering) == pair)
