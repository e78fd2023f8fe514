"""Views of a fleet for tests of autoscalers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from worker.fleet.simulation.policy import FleetTarget, FleetView, ScalingPolicy

EMPTY = FleetView(0.0, 0, 0, 0, 1.0, 0.0, 0.0, 0.0, 0, 0.0, 0, ())


def view(now_s: float = 0.0, **fields: Any) -> FleetView:
    """Return a view of a fleet without workers and jobs, except for the fields that are given."""
    return replace(EMPTY, now_s=now_s, **fields)


def active(policy: ScalingPolicy, *views: FleetView) -> list[int]:
    """Return the wanted active workers at each of these views."""
    return [policy.decide(each).active for each in views]


def totals(policy: ScalingPolicy, *views: FleetView) -> list[int]:
    """Return the wanted workers at each of these views."""
    targets: list[FleetTarget] = [policy.decide(each) for each in views]
    return [target.total for target in targets]
