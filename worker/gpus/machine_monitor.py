"""Follows how fast this machine's engines are, and ends the worker on a machine that is retired."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from worker.errors import WorkerFailed
from worker.events import Handlers, NodeRan
from worker.gpus.machine_health import EngineSpeed, HealthLimits, MachineHealth, SpeedChange, retirement_delay
from worker.gpus.monitor import GpuMonitor
from worker.load.job_estimates import JobEstimates
from worker.load.learning.effect_tree import GPU_KINDS
from worker.platforms.base import Traits
from worker.settings import Settings

log = logging.getLogger(__name__)

RECORD = "machine.json"
"""File in the state folder of a machine that was retired. While it exists, the machine is not retired again."""


class MachineMonitor:
    """An observer of the nodes that ran. `engines` are the names of all engines.

    `speed_of` returns the speed of an engine, by what was learned so far. When the machine is retired, running jobs
    have `drain_s` seconds to end.
    """

    def __init__(
        self,
        limits: HealthLimits,
        engines: Iterable[str],
        speed_of: Callable[[str], EngineSpeed],
        gpus: GpuMonitor,
        state: Path,
        drain_s: float = 0.0,
    ) -> None:
        self._limits = limits
        self._speed_of = speed_of
        self._drain_s = drain_s
        self.gpus = gpus
        self._record = state / RECORD
        self._health = MachineHealth(limits, engines, self._retirement_delay)
        self._retired = asyncio.Event()

    @classmethod
    def of(cls, settings: Settings, traits: Traits, estimates: JobEstimates, gpus: GpuMonitor) -> Self:
        """Return the monitor of a worker's engines. Raises StartupError for limits that would hit healthy machines."""
        wanted = settings.limits
        limits = HealthLimits(wanted.slow_factor, wanted.slow_after_s, wanted.min_perf)

        def speed_of(engine: str) -> EngineSpeed:
            """Return the speed of an engine. The estimator is another one after the start, so it is looked up."""
            estimator = estimates.estimator
            return EngineSpeed(estimator.slowdown(engine), estimator.imported_runs(engine))

        return cls(limits, estimates.engines, speed_of, gpus, settings.state, traits.drain_within(wanted.drain_s))

    @property
    def handlers(self) -> Handlers:
        """The event after each node."""
        return {NodeRan: self._node_ran}

    @property
    def slowdowns(self) -> Mapping[str, float]:
        """How many times as long as expected nodes take, for each engine that has run nodes with loaded models."""
        return self._health.slowdowns

    @property
    def slow_engines(self) -> Mapping[str, float]:
        """The slowdown of each engine that has been slow for minutes."""
        return self._health.slow_engines

    async def end_worker_when_retired(self, drain: Callable[[float], Awaitable[None]]) -> None:
        """Wait until the machine is retired, then drain and raise WorkerFailed with a sentence for the platform.

        The state folder records that the machine was retired. If it already does, or if that is impossible, this
        returns and the worker goes on: it is never retired twice, so that it cannot end again after each start.
        """
        await self._retired.wait()
        reason = (
            f"this machine has {self._health.perf:.0%} of the speed that is known for its GPU model, and"
            f" WORKER_MIN_PERF is {self._limits.min_perf:g}"
        )
        if not await asyncio.to_thread(self._record_once, reason):
            return
        log.error("%s: the worker waits for the running jobs and ends%s", reason, self._gpu_facts())
        await drain(self._drain_s)
        raise WorkerFailed(reason)

    def _node_ran(self, event: NodeRan) -> None:
        """Record the speed of an engine after a node that shows it."""
        if event.kind not in GPU_KINDS or event.cold or not event.completed:
            return
        now = time.monotonic()
        change = self._health.add(event.engine, self._speed_of(event.engine), now)
        if change is not None:
            self._log(change)
        if self._health.is_retired(now):
            self._retired.set()

    def _log(self, change: SpeedChange) -> None:
        """Log that an engine is slow, or not any more."""
        if not change.slow:
            log.info("%s is as fast again as its GPU model should be", change.engine)
            return
        log.warning(
            "%s needs %.1f times as long as is known for its GPU model%s",
            change.engine,
            change.slowdown,
            self._gpu_facts(change.engine),
        )

    def _gpu_facts(self, engine: str = "") -> str:
        """Return what may explain that an engine is slow, or any engine by default, as the end of a log line."""
        states = [state for state in self.gpus.report().gpus if not engine or state.engine in {"", engine}]
        return "".join(f"; {state}" for state in states)

    def _retirement_delay(self) -> float | None:
        """Return the seconds for which this machine must be too slow until it is retired, or None for never."""
        if self._record.exists():
            return None
        return retirement_delay((state.gpu.uuid for state in self.gpus.report().gpus), self._limits.slow_after_s)

    def _record_once(self, reason: str) -> bool:
        """Record in the state folder that the machine is retired. Return False if that was done before, or fails."""
        record = {"retired_at": datetime.now(UTC).isoformat(timespec="seconds"), "reason": reason}
        try:
            with self._record.open("x", encoding="utf-8") as file:
                json.dump(record, file)
        except FileExistsError:
            return False
        except OSError as error:
            log.error("%s, but the worker goes on, because %s cannot be written: %s", reason, RECORD, error.strerror)
            return False
        return True
