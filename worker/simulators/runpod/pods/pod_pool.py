"""The workers of an endpoint: when they start, when they are stopped, and when one that ended starts again."""

from __future__ import annotations

import asyncio
import itertools
import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from worker.backoff import Backoff
from worker.simulators.runpod.assumptions import RunpodAssumptions
from worker.simulators.runpod.pods.pod_process import LOG, PodProcess, run_pod
from worker.simulators.runpod.pods.scaling import (
    PodActivity,
    PodDemand,
    PodScaling,
    wanted_workers,
    workers_to_start,
    workers_to_stop,
)
from worker.supervision import Tasks

log = logging.getLogger(__name__)

CHECK_S = 0.1
LONGEST_RESTART_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True)
class PodOptions:
    """How workers run here. `environ` returns the operator's variables for a worker with this folder."""

    command: Sequence[str]
    folder: Path
    environ: Callable[[Path], Mapping[str, str]] = lambda _: {}
    scaling: PodScaling = field(default_factory=PodScaling)


@dataclass(slots=True, eq=False)
class Pod:
    """A worker. It keeps its id and its folder when its process ends and starts again."""

    id: str
    folder: Path
    process: PodProcess | None = None
    starts: int = 0
    failures: int = 0
    idle_since: float | None = None
    is_stopping: bool = False
    start_after: float | None = None
    """Time from which a worker whose process has ended may start again, None while it runs."""
    exit_codes: list[int] = field(default_factory=list)
    """The exit code of each process that has ended; negative for a signal."""

    @property
    def log(self) -> Path:
        """The file with the output of all its processes."""
        return self.folder / LOG


@dataclass(frozen=True, slots=True)
class PodEvents:
    """What the pool asks and reports: the platform's variables of a worker, the demand, and the ends of workers."""

    environ: Callable[[str], Mapping[str, str]]
    demand: Callable[[], PodDemand]
    busy: Callable[[str], bool]
    """Whether a worker runs a job or has not begun to ask for one."""
    stopping: Callable[[str], None]
    ended: Callable[[str], None]


class PodPool:
    """The workers by id."""

    def __init__(self, options: PodOptions, assumptions: RunpodAssumptions, events: PodEvents, tasks: Tasks) -> None:
        self.pods: dict[str, Pod] = {}
        self.ended: list[Pod] = []
        """Workers that the platform has stopped."""
        self._options = options
        self._assumptions = assumptions
        self._events = events
        self._tasks = tasks
        self._numbers = itertools.count(1)
        self._backoff = Backoff(assumptions.restart_pause_s, LONGEST_RESTART_PAUSE_S)

    async def run(self) -> None:
        """Compare the workers with the demand, again and again."""
        while True:
            self._scale(time.monotonic())
            await asyncio.sleep(CHECK_S)

    def stop(self, pod_id: str) -> None:
        """Stop a worker for good: SIGTERM, a pause, and SIGKILL. Another may be started for it."""
        pod = self.pods.get(pod_id)
        if pod and not pod.is_stopping:
            pod.is_stopping = True
            self._events.stopping(pod_id)
            if pod.process:
                grace_s = self._assumptions.stop_grace_s if self._assumptions.sends_sigterm else None
                self._tasks.spawn(f"stop {pod_id}", pod.process.stop(grace_s))
            elif pod.start_after is not None:
                self._remove(pod)

    def resume(self, pod_id: str) -> bool:
        """Start a worker again that was scaled down. Return whether it is there."""
        stopped = next((pod for pod in self.ended if pod.id == pod_id), None)
        if stopped:
            self.ended.remove(stopped)
            stopped.is_stopping, stopped.idle_since = False, None
            self.pods[pod_id] = stopped
            self._start(stopped)
        return pod_id in self.pods

    def send_signal(self, pod_id: str, number: signal.Signals) -> None:
        """Send a signal to the main process of a worker, without a report to the platform."""
        pod = self.pods.get(pod_id)
        if pod and pod.process:
            pod.process.send_signal(number)

    def _scale(self, now: float) -> None:
        """Start the workers that the endpoint lacks, and stop those that have been idle for too long."""
        wanted = wanted_workers(self._options.scaling, self._events.demand())
        present = [pod for pod in self.pods.values() if not pod.is_stopping]
        for pod in present:
            if pod.process is None or self._events.busy(pod.id):
                pod.idle_since = None
            elif pod.idle_since is None:
                pod.idle_since = now
        idle = [PodActivity(pod.id, None if pod.idle_since is None else now - pod.idle_since) for pod in present]
        for pod_id in workers_to_stop(self._options.scaling, wanted, idle):
            self.stop(pod_id)
        ended = [(pod.id, pod.start_after) for pod in present if pod.start_after is not None]
        due, new = workers_to_start(wanted, len(present) - len(ended), ended, now)
        for pod_id in due:
            self._start(self.pods[pod_id])
        for _ in range(new):
            self._add()

    def _add(self) -> None:
        """Start a new worker."""
        pod_id = f"pod-{next(self._numbers)}"
        pod = self.pods[pod_id] = Pod(pod_id, self._options.folder / pod_id)
        self._start(pod)

    def _start(self, pod: Pod) -> None:
        """Start the process of a worker."""
        pod.start_after = None
        pod.starts += 1
        self._tasks.spawn(f"pod {pod.id}", self._run_one(pod))

    async def _run_one(self, pod: Pod) -> None:
        """Run the process of a worker to its end. It starts again after a pause, unless it was stopped."""
        environ = {**self._events.environ(pod.id), **self._options.environ(pod.folder)}
        began = time.monotonic()
        async with run_pod(self._options.command, environ, pod.folder) as pod.process:
            if pod.is_stopping:
                pod.process.send_signal(signal.SIGKILL)
            code = await pod.process.process.wait()
        pod.process = None
        pod.exit_codes.append(code)
        self._events.ended(pod.id)
        if pod.is_stopping:
            return self._remove(pod)
        is_steady = time.monotonic() - began > LONGEST_RESTART_PAUSE_S
        pod.failures = 1 if is_steady else pod.failures + 1
        pod.start_after = time.monotonic() + self._backoff.pause(pod.failures)
        return log.info("worker %s ended with code %s", pod.id, code)

    def _remove(self, pod: Pod) -> None:
        """Forget a worker that was stopped."""
        self.pods.pop(pod.id, None)
        self.ended.append(pod)
