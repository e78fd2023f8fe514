"""Runs a scenario: the loop over arrivals and events, and the decisions of the autoscaler."""

from __future__ import annotations

import math

from worker.fleet.simulation.outcome import FleetOutcome, FleetSample
from worker.fleet.simulation.policy import FleetView
from worker.fleet.simulation.run.dispatch import Dispatch
from worker.fleet.simulation.run.events import EventCalendar, EventKind
from worker.fleet.simulation.run.gauges import Gauge, JobCount, reported_gauge
from worker.fleet.simulation.run.router import FleetRouter
from worker.fleet.simulation.run.scaling import SimulatedWorkers
from worker.fleet.simulation.run.workers import NO_JOB, SimulatedWorker
from worker.fleet.simulation.scenario import FleetScenario, PoolRouting

MOST_SAMPLES = 1000
"""When there are this many samples, every second one is dropped, and the next ones are taken half as often."""


def simulate(scenario: FleetScenario) -> FleetOutcome:
    """Run a scenario to its end. The same scenario has always the same outcome.

    A run ends when the last job is done or has failed and `length_s` has passed, or when `patience_s` has passed since
    the last arrival, or early by `give_up`. Jobs that are not done by then count as failed.
    """
    return FleetRun(scenario).run()


class FleetRun:
    """One run of a scenario. It can be used once."""

    def __init__(self, scenario: FleetScenario) -> None:
        self._scenario = scenario
        self._policy = scenario.policy()
        self._calendar = EventCalendar()
        perf = scenario.report.perf(scenario.jobs)
        self._reported = reported_gauge(scenario.report, perf)
        routing = scenario.routing
        gauge: Gauge = JobCount() if isinstance(routing, PoolRouting) else self._reported
        limit = routing.concurrency - 1 if isinstance(routing, PoolRouting) else routing.max_queue_time
        self._router = FleetRouter(gauge, limit, scenario.seed)
        self._workers = SimulatedWorkers(scenario, self._router, self._calendar)
        self._dispatch = Dispatch(scenario, self._router, self._calendar)
        self._waiting_load = 0.0
        self._samples: list[FleetSample] = []
        self._decisions, self._stride = 0, 1
        self._handlers = {
            EventKind.JOB_DONE: self._job_done,
            EventKind.BOOTED: self._booted,
            EventKind.MACHINE_FAILED: self._machine_failed,
        }

    def run(self) -> FleetOutcome:
        """Return the outcome."""
        self._workers.start(0.0)
        self._calendar.plan(0.0, EventKind.DECISION)
        ended_s = self._loop()
        self._workers.end(ended_s)
        table = self._dispatch.table
        lives = sorted((worker.life() for worker in self._workers.gone), key=lambda life: life.number)
        return FleetOutcome(
            jobs=self._scenario.jobs,
            start_s=table.start_s,
            end_s=table.end_s,
            worker=table.worker,
            attempts=table.attempts,
            lives=tuple(lives),
            samples=tuple(self._samples),
            ended_s=ended_s,
            gave_up=self._dispatch.late > self._most_late,
        )

    @property
    def _most_late(self) -> float:
        """Number of late jobs with which the goal can still be met."""
        goal = self._scenario.give_up
        return (1 - goal.quantile) * len(self._scenario.jobs) if goal else math.inf

    def _loop(self) -> float:
        """Handle arrivals and events in the order of time, and return when the run ended."""
        arrivals, dispatch, calendar = self._dispatch.table.arrival_s, self._dispatch, self._calendar
        last_s = arrivals[-1] if arrivals else 0.0
        length_s = last_s if self._scenario.length_s is None else self._scenario.length_s
        end_s, most_late = max(last_s, length_s) + self._scenario.patience_s, self._most_late
        job, count, now_s = 0, len(arrivals), 0.0
        while dispatch.late <= most_late:
            if not dispatch.left and now_s >= length_s:
                return now_s
            next_s = calendar.next_s
            if job < count and arrivals[job] < next_s:
                now_s = arrivals[job]
                dispatch.arrive(job, now_s)
                job += 1
            elif next_s > end_s:
                return end_s
            elif not dispatch.left and next_s > length_s:
                return length_s
            else:
                now_s = next_s
                self._handle()
        return now_s

    def _handle(self) -> None:
        """Handle the next event, unless the worker that it is about has changed its state since."""
        now_s, _, kind, worker, stage = self._calendar.pop()
        if worker is None:
            self._decide(now_s) if kind is EventKind.DECISION else self._dispatch.timed_release(now_s)
        elif kind is EventKind.JOB_DONE:
            if worker.state is not None:
                self._job_done(worker, now_s)
        elif worker.stage == stage:
            self._handlers[kind](worker, now_s)

    def _job_done(self, worker: SimulatedWorker, now_s: float) -> None:
        """End a job. A ready worker has room for another, and a draining one may be done."""
        self._dispatch.finish(worker, now_s)
        if worker.number in self._workers.ready:
            self._router.changed(worker)
            self._dispatch.release(now_s)
        elif worker.running == NO_JOB:
            self._workers.stop_drained(worker, now_s)

    def _booted(self, worker: SimulatedWorker, now_s: float) -> None:
        """Go on with a start. A worker that is ready can take jobs."""
        if self._workers.booted(worker, now_s):
            self._dispatch.release(now_s)

    def _machine_failed(self, worker: SimulatedWorker, now_s: float) -> None:
        """Remove a worker, and let others run its jobs."""
        self._dispatch.lose(worker, now_s)
        self._workers.machine_failed(worker, now_s)
        self._dispatch.release(now_s)

    def _decide(self, now_s: float) -> None:
        """Let the autoscaler decide, and plan its next decision."""
        self._sample(now_s)
        self._workers.apply(self._policy.decide(self._view(now_s)), now_s)
        self._dispatch.release(now_s)
        self._calendar.plan(now_s + self._policy.tick_s, EventKind.DECISION)

    def _view(self, now_s: float) -> FleetView:
        """Return what the autoscaler sees."""
        dispatch, workers, perf = self._dispatch, self._workers, self._dispatch.perf
        waiting_load, grown = dispatch.queue.load, dispatch.queue.load - self._waiting_load
        self._waiting_load = waiting_load
        ready, starting = workers.ready.values(), workers.starting
        queue_s = self._reported.queue_s
        return FleetView(
            now_s=now_s,
            ready=len(ready),
            starting=starting,
            inactive=workers.total - len(ready) - starting - len(workers.draining),
            worker_perf=perf * workers.mean_speed,
            new_load=dispatch.new_load.take(now_s) + grown,
            current_load=sum([queue_s(worker, now_s) * worker.speed for worker in ready]) * perf,
            waiting_load=waiting_load,
            waiting=len(dispatch.queue),
            oldest_wait_s=dispatch.queue.oldest_wait_s(now_s),
            in_progress=dispatch.in_progress,
            idle_s=tuple(
                sorted([now_s - worker.idle_since_s for worker in ready if worker.running == NO_JOB], reverse=True)
            ),
        )

    def _sample(self, now_s: float) -> None:
        """Take a sample at every decision, or at fewer of them if there are many."""
        if self._decisions % self._stride == 0:
            workers, dispatch = self._workers, self._dispatch
            counts = (len(workers.ready), workers.starting, len(dispatch.queue), dispatch.in_progress)
            self._samples.append(FleetSample(now_s, *counts))
            if len(self._samples) >= MOST_SAMPLES:
                self._samples = self._samples[::2]
                self._stride *= 2
        self._decisions += 1
