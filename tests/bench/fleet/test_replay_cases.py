"""The replays of docs/fleet.md can be compared with their simulations: small differences change the waits little."""

from __future__ import annotations

import pytest

from bench.fleet.replay import CASES, LEAST_WAIT_S, MINUTES, SHARE, ReplayCase
from worker.fleet.simulation.run.fleet_run import simulate
from worker.fleet.simulation.summary import WaitFigures
from worker.simulators.vast_fleet.comparison import as_played
from worker.simulators.vast_fleet.overhead import ReplayOverhead

ADDED_S = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
"""Seconds of the trace that replays have added to each job, and some more."""


@pytest.mark.parametrize("case", CASES, ids=str)
def test_waits_do_not_jump_when_each_job_is_a_little_longer(case: ReplayCase) -> None:
    """Otherwise a replay and a simulation that agree could still have different waits."""
    played = [as_played(case.scenario(MINUTES), ReplayOverhead(running_s=added_s)) for added_s in ADDED_S]
    waits = [WaitFigures.of(simulate(scenario).waits_s()) for scenario in played]
    assert min(each.p50_s for each in waits) >= LEAST_WAIT_S
    for seconds in ([each.p50_s for each in waits], [each.p90_s for each in waits]):
        assert max(seconds) - min(seconds) <= SHARE * max(seconds)
