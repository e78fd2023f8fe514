"""The router: it gives a job to the worker with the shortest queue, or to none if all queues are too long."""

from __future__ import annotations

import random
from heapq import heapify, heappop, heappush

from worker.fleet.simulation.life import LifeState
from worker.fleet.simulation.run.gauges import Gauge
from worker.fleet.simulation.run.workers import SimulatedWorker

SLACK = 64
"""Outdated entries that are kept at least before the heap is built again."""


class FleetRouter:
    """The ready workers in the order of their queues.

    A heap holds an entry for each change of a worker. Only the last one of each worker counts, so that a change costs
    O(log n). Workers with equal queues are taken at random, because the order of a real router is not known.
    """

    def __init__(self, gauge: Gauge, limit_s: float, seed: int) -> None:
        self.gauge, self._limit_s = gauge, limit_s
        self._heap: list[tuple[float, float, int, int, SimulatedWorker]] = []
        self._ready = 0
        self._random = random.Random(f"router {seed}").random  # noqa: S311 - not for security

    def changed(self, worker: SimulatedWorker) -> None:
        """Note that the jobs of a ready worker have changed."""
        worker.version += 1
        entry = (self.gauge.position(worker), self._random(), worker.number, worker.version, worker)
        heappush(self._heap, entry)

    def entered(self, worker: SimulatedWorker) -> None:
        """Note that a worker is ready."""
        self._ready += 1
        self.changed(worker)

    def left(self, worker: SimulatedWorker) -> None:
        """Note that a worker is no longer ready."""
        self._ready -= 1
        worker.version += 1

    def first(self) -> SimulatedWorker | None:
        """Return the worker with the shortest queue, None without a ready worker."""
        heap = self._heap
        while heap and heap[0][3] != heap[0][4].version:
            heappop(heap)
        if len(heap) > SLACK + 4 * self._ready:
            self._heap = [entry for entry in heap if entry[3] == entry[4].version]
            heapify(self._heap)
        return self._heap[0][4] if self._heap else None

    def choose(self, now_s: float) -> SimulatedWorker | None:
        """Return the worker that the next job goes to, None if the job has to wait."""
        worker = self.first()
        if worker is None or self.gauge.queue_s(worker, now_s) > self._limit_s:
            return None
        return worker

    def opens_s(self) -> float | None:
        """Return when the shortest queue will have fallen to the limit, None if it only changes with jobs."""
        worker = self.first() if self.gauge.falls_with_time else None
        if worker is None or worker.state is not LifeState.READY:
            return None
        return self.gauge.position(worker) - self._limit_s
