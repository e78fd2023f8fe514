"""The run: workers that the stand-in starts, jobs of a client, cancels, signals, and the counts at the end."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.servers.processes import BenchEngine, embedded_engine
from chaos.clients.run_counter import RunCounter
from chaos.finding import RunFinding, at_least, expect_none, fact
from chaos.runpod.plan import RunpodPlan, faults
from worker.simulators.runpod import LocalRunpod, PodOptions, PodScaling, RunpodAssumptions, serve
from worker.simulators.runpod.job_queue.records import RunpodJob, RunpodStatus
from worker.subcommand import worker_command

SWITCHES = RunpodAssumptions(
    take_hold_s=2.0, stop_hold_s=2.0, run_retention_s=3600.0, stop_grace_s=20.0, requeue_limit=50
)
DRAIN_S = 8
SENDERS = 8
"""Number of clients that send jobs at the same time."""
WIDTHS = 97
"""Pictures have this many different widths, so that the result of another job would be noticed."""
RETRYABLE = ("send it again", "send the job again")


@dataclass(slots=True)
class RunpodSoak:
    """A run of the plan. `sent` has the number of each job by its id."""

    plan: RunpodPlan
    runpod: LocalRunpod
    counter: RunCounter
    http: aiohttp.ClientSession
    sent: dict[str, int] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    signals: Counter[str] = field(default_factory=Counter)

    async def run(self) -> list[RunFinding]:
        """Send all jobs, disturb the workers until they have ended, and return the findings."""
        started = time.monotonic()
        helpers = [asyncio.create_task(work()) for work in (self.counter.run, self._signal_workers, self._cancel)]
        try:
            async with asyncio.timeout(self.plan.limit_s):
                numbers = iter(range(self.plan.jobs))
                await asyncio.gather(*(self._send(numbers) for _ in range(SENDERS)))
                while not all(job.status.is_final for job in self._jobs()):
                    await asyncio.sleep(0.2)
            ended = True
        except TimeoutError:
            ended = False
        seconds = time.monotonic() - started
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await self.counter.read()
        return [*self._findings(), fact("seconds", round(seconds)), expect_none("over the time limit", int(not ended))]

    async def _send(self, numbers: Iterator[int]) -> None:
        """Put jobs with these numbers into the queue, one after the other."""
        for number in numbers:
            body = {"input": {"workflow": prompt(number)}}
            async with self.http.post(f"{self.runpod.endpoint_url}/run", json=body) as answer:
                self.sent[(await answer.json())["id"]] = number

    async def _signal_workers(self) -> None:
        """Stop a worker, kill another one, and so on."""
        rng, pool = random.Random(self.plan.seed), self.runpod.pods
        for number in itertools.count():
            await asyncio.sleep(self.plan.kill_every_s)
            running = [pod.id for pod in pool.pods.values() if pod.process and not pod.is_stopping] if pool else []
            if pool is None or not running:
                continue
            pod_id = rng.choice(running)
            if number % 2:
                self.signals["SIGKILL"] += 1
                pool.send_signal(pod_id, signal.SIGKILL)
            else:
                self.signals["SIGTERM"] += 1
                pool.stop(pod_id)

    async def _cancel(self) -> None:
        """Cancel a share of the jobs, most of them while they run or wait at a worker."""
        rng = random.Random(self.plan.seed)
        todo = int(self.plan.jobs * self.plan.cancel_share)
        while todo:
            await asyncio.sleep(0.1)
            running = [job.id for job in self._jobs() if job.status is RunpodStatus.IN_PROGRESS]
            if running and rng.random() < 0.5:
                todo -= 1
                job_id = rng.choice(running)
                self.cancelled.add(job_id)
                await (await self.http.post(f"{self.runpod.endpoint_url}/cancel/{job_id}")).read()

    def _jobs(self) -> list[RunpodJob]:
        return list(self.runpod.state.jobs.jobs.values())

    def _findings(self) -> list[RunFinding]:
        """Return what became of the jobs."""
        jobs = {job.id: job for job in self._jobs()}
        states = Counter(job.status.value for job in jobs.values())
        lost = [job_id for job_id in self.sent if job_id not in jobs or not jobs[job_id].status.is_final]
        failed = [job for job in jobs.values() if job.status is RunpodStatus.FAILED]
        unexpected = [job.result for job in failed if not str(job.result.get("error")).endswith(RETRYABLE)]
        completed = [job for job in jobs.values() if job.status is RunpodStatus.COMPLETED]
        # Progress of a cancelled job may be on its way, and a worker that was lost does not know that.
        with_result = [job for job in (*completed, *failed) if not job.counts.lost]
        wrong = [job.id for job in completed if not has_own_result(job.result, self.sent[job.id])]
        not_cancelled = [job.id for job in jobs.values() if job.status is RunpodStatus.CANCELLED]
        was_lost = {self.sent[job.id] for job in jobs.values() if job.counts.lost}
        twice = [number for number, runs in self.counter.completed.items() if runs > 1 and number not in was_lost]
        return [
            at_least("jobs", len(self.sent), self.plan.jobs),
            *(fact(f"jobs {state}", number) for state, number in sorted(states.items())),
            expect_none("lost", len(lost), lost),
            expect_none("failed, but not with an error that says to retry", len(unexpected), unexpected),
            expect_none("completed without their own picture", len(wrong), wrong),
            expect_none("run twice without a killed worker", len(twice), twice),
            expect_none("results accepted twice", sum(job.counts.accepted > 1 for job in jobs.values())),
            expect_none("cancelled by nobody", len(set(not_cancelled) - self.cancelled)),
            expect_none("progress after the result", sum(job.counts.late_progress for job in with_result)),
            *(fact(name, number) for name, number in sorted(self.signals.items())),
            *(fact(f"fault: {name}", number) for name, number in sorted(self.runpod.faults.injected.items())),
            fact("results sent again and ignored", sum(job.counts.ignored for job in jobs.values())),
        ]


def prompt(number: int) -> dict[str, Any]:
    """Return the prompt of a job. One of twenty takes 0.2 s longer."""
    image = {"width": width_of(number), "height": 8, "batch_size": 1, "color": number % 2**24}
    save = {"images": ["1", 0], "filename_prefix": f"n{number}n"}
    found: dict[str, Any] = {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "2": {"class_type": "SaveImage", "inputs": save},
    }
    if number % 20 == 0:
        found["3"] = {"class_type": "EmbeddedSleep", "inputs": {"image": ["1", 0], "seconds": 0.2, "steps": 4}}
        save["images"] = ["3", 0]
    return found


def width_of(number: int) -> int:
    """Return the width of a job's picture."""
    return 8 + number % WIDTHS


def has_own_result(result: Mapping[str, Any], number: int) -> bool:
    """Return whether a result has the picture of this job, by the name that the job gave to it."""
    images = (result.get("output") or {}).get("images") or [{}]
    return str(images[0].get("filename", "")).startswith(f"n{number}n_") and bool(images[0].get("data"))


@asynccontextmanager
async def running_soak(plan: RunpodPlan, folder: Path) -> AsyncIterator[RunpodSoak]:
    """Start the engines, the stand-in and its workers. Each worker has the engine of its number."""
    async with AsyncExitStack() as stack:
        engines = [
            await stack.enter_async_context(embedded_engine(folder / f"engine-{number}"))
            for number in range(plan.workers)
        ]
        numbers, chosen = itertools.count(), dict[Path, BenchEngine]()

        def environ(pod: Path) -> Mapping[str, str]:
            """Return the operator's variables of a worker."""
            engine = chosen.setdefault(pod, engines[next(numbers) % len(engines)])
            return worker_variables(engine, pod)

        scaling = PodScaling(min_workers=plan.workers, max_workers=plan.workers)
        pods = PodOptions(worker_command("serve"), folder / "pods", environ, scaling)
        runpod = await stack.enter_async_context(serve(assumptions=SWITCHES, pods=pods))
        runpod.faults.add(*faults())
        headers = {"Authorization": f"Bearer {runpod.api_key}"}
        http = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        yield RunpodSoak(plan, runpod, RunCounter(http, [engine.url for engine in engines]), http)


def worker_variables(engine: BenchEngine, pod: Path) -> dict[str, str]:
    """Return the settings of a worker on an engine."""
    return {
        "WORKER_PLATFORM": "runpod",
        "WORKER_COMFYUI": engine.url,
        "WORKER_COMFYUI_INPUT": f"{engine.folder}/input",
        "WORKER_COMFYUI_OUTPUT": f"{engine.folder}/output",
        "WORKER_GATEWAY_PORT": "0",
        "WORKER_STATE": str(pod / "state"),
        "WORKER_DRAIN": str(DRAIN_S),
        "WORKER_RESULT_TTL": "60",
    }
