"""A fleet of a fixed size."""

from __future__ import annotations

from dataclasses import dataclass

from worker.fleet.simulation.policy import FleetTarget, FleetView


@dataclass(frozen=True, slots=True)
class FixedWorkers:
    """Keeps the same number of workers running, whatever happens."""

    workers: int
    tick_s: float = 60.0

    def decide(self, view: FleetView) -> FleetTarget:
        """Return the fixed number."""
        return FleetTarget(self.workers, self.workers)
