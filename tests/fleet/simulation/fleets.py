"""Scenarios for tests: small traces, autoscalers that do as they are told, and platforms without chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.fleet.simulation.platform import IMMEDIATE, BootTimes, SimulatedPlatform
from worker.fleet.simulation.policies.fixed_workers import FixedWorkers
from worker.fleet.simulation.policy import FleetTarget, FleetView
from worker.fleet.simulation.scenario import FleetScenario
from worker.fleet.simulation.trace import TraceJob

AT_ONCE = SimulatedPlatform(boot=IMMEDIATE)
EXACT = SimulatedPlatform(boot=BootTimes(30.0, 210.0, 45.0, spread=0.0, slow_share=0.0, fail_share=0.0))
"""Vast's boot times, without chance."""


def jobs(*pairs: tuple[float, float], kind: str = "") -> list[TraceJob]:
    """Return jobs from pairs of arrival and seconds."""
    return [TraceJob(at_s, seconds, seconds, kind) for at_s, seconds in pairs]


@dataclass
class ScriptedPolicy:
    """Wants what the script says, one target a decision, then the last one again. It keeps what it has seen."""

    script: Sequence[FleetTarget]
    tick_s: float = 1.0
    views: list[FleetView] = field(default_factory=list)

    def decide(self, view: FleetView) -> FleetTarget:
        """Return the next target."""
        self.views.append(view)
        return self.script[min(len(self.views), len(self.script)) - 1]

    def at(self, now_s: float) -> FleetView:
        """Return the view at this time."""
        return next(view for view in self.views if view.now_s == now_s)


def fixed(trace: Sequence[TraceJob], workers: int = 1, **fields: Any) -> FleetScenario:
    """Return a scenario with workers that are ready from the start."""
    values = {"platform": AT_ONCE, "ready_at_start": workers, **fields}
    return FleetScenario(trace, lambda: FixedWorkers(workers), **values)


def scripted(trace: Sequence[TraceJob], script: Sequence[FleetTarget], **fields: Any) -> tuple[FleetScenario, Any]:
    """Return a scenario, and its policy."""
    policy = ScriptedPolicy(script)
    return FleetScenario(trace, lambda: policy, **{"platform": EXACT, **fields}), policy
