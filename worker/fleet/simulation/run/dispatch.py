"""Moves jobs: from their arrival through the router to a worker, and to their end."""

from __future__ import annotations

import math

from worker.fleet.simulation.load_report import ReportedWork
from worker.fleet.simulation.run.events import EventCalendar, EventKind
from worker.fleet.simulation.run.job_table import JobTable
from worker.fleet.simulation.run.new_load import LoadAtArrival, MeteredLoad, NewLoad
from worker.fleet.simulation.run.queues import RouterQueue
from worker.fleet.simulation.run.router import FleetRouter
from worker.fleet.simulation.run.workers import NO_JOB, SimulatedWorker
from worker.fleet.simulation.scenario import FleetScenario, WaitTarget


class Dispatch:
    """The jobs of a run.

    Attributes:
        table: The jobs.
        queue: Jobs that no worker has.
        perf: Reported units a second of a worker of speed 1.
        new_load: Load that workers report as new.
        in_progress: Number of jobs that workers have.
        left: Number of jobs that are neither done nor failed.
        late: Number of jobs that have waited for longer than the goal.
    """

    def __init__(self, scenario: FleetScenario, router: FleetRouter, calendar: EventCalendar) -> None:
        report = scenario.report
        self.table = JobTable.of(scenario)
        self.queue = RouterQueue(self.table)
        self.perf = report.perf(scenario.jobs)
        is_metered = report.metering and report.work is ReportedWork.SECONDS
        self.new_load: NewLoad = MeteredLoad() if is_metered else LoadAtArrival()
        self.in_progress = self.late = 0
        self.left = len(scenario.jobs)
        self._late_s = (scenario.give_up or WaitTarget(seconds=math.inf)).seconds
        self._most_attempts = scenario.platform.attempts
        self._router, self._calendar = router, calendar
        self._release_s = math.inf

    def arrive(self, job: int, now_s: float) -> None:
        """Give a job that arrives to a worker, or let it wait in the router."""
        worker = None if self.queue else self._router.choose(now_s)
        if worker is None:
            self.queue.append(job)
            self._plan_release(now_s)
        else:
            self._assign(worker, job, now_s)

    def release(self, now_s: float) -> None:
        """Give waiting jobs to workers, as long as one has room."""
        while self.queue:
            worker = self._router.choose(now_s)
            if worker is None:
                self._plan_release(now_s)
                return
            self._assign(worker, self.queue.pop(), now_s)

    def timed_release(self, now_s: float) -> None:
        """Release jobs at the time that was planned for it."""
        self._release_s = math.inf
        self.release(now_s)

    def finish(self, worker: SimulatedWorker, now_s: float) -> None:
        """End the running job of a worker, and start its next one."""
        table, job = self.table, worker.running
        table.end_s[job] = now_s
        self.new_load.done(job)
        self.in_progress -= 1
        self.left -= 1
        worker.jobs_done += 1
        worker.busy_s += now_s - worker.started_s
        worker.load = worker.load - table.load[job] if worker.waiting else 0.0
        if worker.waiting:
            self._start(worker, worker.waiting.popleft(), now_s)
        else:
            worker.running, worker.idle_since_s = NO_JOB, now_s

    def lose(self, worker: SimulatedWorker, now_s: float) -> None:
        """Put the jobs of a failed worker back. A job that was started too often fails."""
        if worker.running == NO_JOB:
            return
        jobs, running = [worker.running, *worker.waiting], worker.running
        for job in jobs:
            self.new_load.withdrawn(job, now_s)
        self.in_progress -= len(jobs)
        worker.busy_s += now_s - worker.started_s
        worker.running, worker.load, worker.waiting_s = NO_JOB, 0.0, 0.0
        worker.waiting.clear()
        if self.table.attempts[running] >= self._most_attempts:
            jobs.remove(running)
            self.left -= 1
        self.queue.put_back(jobs)

    def _assign(self, worker: SimulatedWorker, job: int, now_s: float) -> None:
        """Give a job to a worker, which starts it if it has no other."""
        table = self.table
        worker.load += table.load[job]
        self.in_progress += 1
        self.new_load.arrived(job, table.load[job], worker.speed * self.perf, now_s)
        seconds = self._predicted_s(worker, job, worker.last_kind)
        worker.last_kind = table.kind[job]
        if worker.running == NO_JOB:
            worker.waiting_s = seconds
            self._start(worker, job, now_s)
        else:
            worker.waiting.append(job)
            worker.waiting_s += seconds
        self._router.changed(worker)

    def _start(self, worker: SimulatedWorker, job: int, now_s: float) -> None:
        """Start the next job of a worker."""
        table = self.table
        predicted_s = self._predicted_s(worker, job, worker.kind)
        real_s = predicted_s + (table.duration_s[job] - table.predicted_s[job]) / worker.speed
        worker.running, worker.kind, worker.started_s = job, table.kind[job], now_s
        worker.run_end_s = now_s + predicted_s
        worker.waiting_s = worker.waiting_s - predicted_s if worker.waiting else 0.0
        table.start_s[job], table.worker[job] = now_s, worker.number
        table.attempts[job] += 1
        if now_s - table.arrival_s[job] > self._late_s:
            self.late += 1
        self._calendar.plan(now_s + real_s, EventKind.JOB_DONE, worker)

    def _predicted_s(self, worker: SimulatedWorker, job: int, earlier_kind: int) -> float:
        """Return the seconds of a job after one of another kind, with the loading of its models."""
        seconds = self.table.predicted_s[job] / worker.speed
        kind = self.table.kind[job]
        return seconds if kind == earlier_kind else seconds + self.table.kind_load_s[kind]

    def _plan_release(self, now_s: float) -> None:
        """Plan a release for the time at which a worker will have room, if that comes without an event."""
        opens_s = self._router.opens_s()
        if opens_s is not None and now_s < opens_s < self._release_s:
            self._release_s = opens_s
            self._calendar.plan(opens_s, EventKind.RELEASE)
