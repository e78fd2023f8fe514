"""The speed of the worker's engines: measured by the benchmark, and then by the jobs that they run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

import worker
from worker.app import App
from worker.errors import StartupError
from worker.events import Handlers
from worker.load.throughput import DoneWork, Throughput
from worker.platforms.vast.benchmark.benchmark import Benchmark
from worker.platforms.vast.benchmark.choice import CURE
from worker.platforms.vast.reporting.done_work import DoneWorkObserver
from worker.platforms.vast.reporting.speed_file import SpeedFile

log = logging.getLogger(__name__)

LONG_S = 60.0
"""Seconds of a measured run after which no other one is made."""
STORE_EVERY_S = 60.0


class WorkerSpeed:
    """Measures and stores the speeds of the engines. It is an observer of their jobs."""

    def __init__(self, app: App, benchmark: Benchmark, image: str, throughput: Throughput) -> None:
        """`image` is the digest of the worker's image."""
        self._throughput = throughput
        self._app = app
        self._benchmark = benchmark
        self._image = image
        self._file: SpeedFile | None = None
        self._benchmark_runs: dict[str, list[DoneWork]] | None = None
        """The runs of the benchmark by engine. While it is not None, no run changes the speeds."""
        self._observer = DoneWorkObserver(self._record, app.engines.estimates.work)

    @property
    def handlers(self) -> Handlers:
        """The events of the runs."""
        return self._observer.handlers

    async def measure(self) -> float:
        """Load the models, measure the speeds unless an earlier start did, and return the units a second together.

        After a crash the jobs of the earlier process run first. If the speeds are known, they load the models as well.
        Engines that did not start count as if they were as fast as the others. Raises StartupError.
        """
        app = self._app
        await app.ready()
        await app.engines.wait_until_settled()
        self._file = SpeedFile(app.settings.state.resolve(), await self._key())
        is_known = self._file.restore(self._throughput, time.monotonic())
        if is_known:
            log.info("benchmark: %.3g units/s, measured by an earlier start", self.total)
        if not (is_known and app.manager.admission.load.jobs):
            await app.manager.wait_until_idle()
            await self._run_benchmark(is_known=is_known)
        self.store()
        return self.total

    @property
    def total(self) -> float:
        """Units a second of all engines together, including those that are down."""
        return self._throughput.total([engine.name for engine in self._app.engines.engines], time.monotonic())

    async def store_periodically(self) -> None:
        """Store the speeds every minute, because the process may be killed."""
        while True:
            await asyncio.sleep(STORE_EVERY_S)
            self.store()

    def store(self) -> None:
        """Store the speeds, once they are known."""
        if self._file is not None and self.total:
            self._file.write(self._throughput, time.monotonic())

    async def _run_benchmark(self, *, is_known: bool) -> None:
        """Load the models, and measure the speeds unless they are known. Raises StartupError."""
        self._benchmark_runs = {}
        try:
            await self._benchmark.run(self._app, len(self._app.engines.alive))
            if not is_known:
                await self._measure_runs()
        finally:
            self._benchmark_runs = None

    async def _measure_runs(self) -> None:
        """Run the benchmark on all engines and set their speeds. Raises StartupError when nothing could be measured."""
        loading_runs, self._benchmark_runs = self._benchmark_runs or {}, {}
        for _ in range(self._benchmark.runs):
            began = time.monotonic()
            await self._benchmark.run(self._app, len(self._app.engines.alive))
            if time.monotonic() - began > LONG_S:
                break
        # A workflow without a seed is cached after its first run, and then only that run was work.
        runs = self._benchmark_runs or loading_runs
        if not runs:
            name = self._benchmark.workflow.name
            raise StartupError(f"the benchmark workflow ({name}) did no work: ComfyUI has all results cached; {CURE}")
        for engine, done in runs.items():
            self._throughput.start(engine, done, time.monotonic())
        log.info("benchmark: %.3g units/s (%s: %s)", self.total, self._benchmark.workflow.name, _described(runs))

    def _record(self, engine: str, run: DoneWork) -> None:
        """Add a run to those of the benchmark while that runs, and later to the speed of its engine."""
        if self._benchmark_runs is None:
            self._throughput.record(engine, run, time.monotonic())
        elif run.counts:
            self._benchmark_runs.setdefault(engine, []).append(run)

    async def _key(self) -> str:
        """Return the key of the conditions in which the speeds are valid."""
        engines = self._app.engines
        info, count = await engines.info(), len(engines.engines)
        driver = await self._app.services.machine.gpus.driver_version()
        return self._benchmark.key(
            worker.__version__, self._image, info.device, driver, info.version, f"{count} engines"
        )


def _described(runs: Mapping[str, list[DoneWork]]) -> str:
    """Return the units and the seconds of the runs, for the log."""
    parts = [f"{run.units:.3g} in {run.seconds:.2f} s" for done in runs.values() for run in done]
    return ", ".join(parts)
