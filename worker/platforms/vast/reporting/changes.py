"""Makes the SDK report soon after the load or the engines have changed, instead of up to ten seconds later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from worker.events import EngineBlocked, EngineConnected, EngineEvent, EngineLost, Handlers
from worker.platforms.vast.reporting.metrics import LoadSource, ModelMetrics

CHECK_EVERY_S = 0.5
CHANGE, SMALLEST_CHANGE_S = 0.05, 0.25
"""Change of the seconds to do that leads to a report: this part of what was reported, and at least so many seconds."""


@dataclass(frozen=True, slots=True)
class EngineChanges:
    """An observer that makes the SDK report soon after an engine was connected, lost or blocked."""

    report_soon: Callable[[], None]

    @property
    def handlers(self) -> Handlers:
        """The events that lead to a report."""
        return {EngineConnected: self._changed, EngineLost: self._changed, EngineBlocked: self._changed}

    def _changed(self, _: EngineEvent) -> None:
        """Request a report, because the number of engines that run jobs has changed."""
        self.report_soon()


async def request_reports_of_changes(load: LoadSource, metrics: ModelMetrics, report_soon: Callable[[], None]) -> None:
    """Request a report whenever the seconds to do differ from those in the last report. Never returns.

    The load falls while jobs run, without any event.
    """
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        if metrics.loaded and has_changed(metrics.reported, (load.cur_load, load.max_perf)):
            report_soon()


def has_changed(reported: tuple[float, float], present: tuple[float, float]) -> bool:
    """Return whether two pairs of load and speed differ so much that a report is due."""
    reported_s, present_s = _seconds(*reported), _seconds(*present)
    return abs(present_s - reported_s) > max(CHANGE * reported_s, SMALLEST_CHANGE_S)


def _seconds(load: float, speed: float) -> float:
    """Return the seconds that a load takes at a speed, or 0 without a speed."""
    return load / speed if speed else 0.0
