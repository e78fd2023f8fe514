"""What the estimate, learning and metrics cost a job: the processor time of the parts, and that of the whole worker."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

from bench.load.mixed.shapes import SHAPES
from bench.load.part import LoadRow, PartResult
from bench.load.reports.former import FORMER, check_out_former
from bench.measurements.processor import processor_time
from bench.servers import served
from bench.servers.processes import BenchWorker, embedded_engine, worker
from worker.load.gpu_classes import REFERENCE
from worker.load.learning.estimator import Estimator, NodeRun
from worker.load.node_work import JobWork
from worker.load.work import job_work
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

LIMIT_MS = 0.5
TARGET = "< 0.5 ms"
ENGINE = "engine-0"
JOBS = 40
"""Jobs of a round."""
PARTS = ("estimate of the work", "prediction", "learning from its nodes")


async def measure(folder: Path, *, short: bool) -> PartResult:
    """Measure the parts in this process, and the worker with and without them in turns."""
    parts = parts_ms([shape.prompt(number) for number, shape in enumerate(SHAPES, 1)], repeats=5 if short else 20)
    total = sum(parts)
    texts = ", ".join(f"{name} {ms:.2f}" for name, ms in zip(PARTS, parts, strict=True))
    what = "processor time of a job for predicting and learning"
    rows = [LoadRow(what, f"{total:.2f} ms ({texts})", target=TARGET, met=total < LIMIT_MS)]
    former = check_out_former(folder / "former")
    if former is not None:
        rows.append(await _whole(former, folder, rounds=3 if short else 15))
    return PartResult(rows)


def parts_ms(prompts: Sequence[Prompt], repeats: int) -> list[float]:
    """Return the milliseconds of processor time of each part for a mean prompt: the median of the repeats.

    The first repeat fills the caches of the catalog and of names, and does not count.
    """
    catalog, estimator = Catalog.bundled(), Estimator({ENGINE: REFERENCE})
    rounds = [_round(prompts, catalog, estimator) for _ in range(repeats + 1)][1:]
    return [statistics.median(values) for values in zip(*rounds, strict=True)]


def _round(prompts: Sequence[Prompt], catalog: Catalog, estimator: Estimator) -> list[float]:
    """Return the milliseconds of each part for a mean prompt."""
    started = time.process_time()
    works = [job_work(prompt, catalog) for prompt in prompts]
    estimated = time.process_time()
    for work in works:
        estimator.job(ENGINE, work, estimator.expect_cached(ENGINE, work))
    predicted = time.process_time()
    for work in works:
        _learn(estimator, work)
    learned = time.process_time()
    spans = (estimated - started, predicted - estimated, learned - predicted)
    return [1000 * seconds / len(prompts) for seconds in spans]


def _learn(estimator: Estimator, work: JobWork) -> None:
    """Let the estimator learn from a job whose nodes took about what they usually take."""
    for number, node in enumerate(work.nodes):
        estimator.learn(ENGINE, NodeRun(node, 0.1 + 0.01 * (number % 7)))
    estimator.job_ended(ENGINE, work)


async def _whole(former: Mapping[str, str], folder: Path, rounds: int) -> LoadRow:
    """Return the row that compares the processor time of this worker and of the former one, job by job."""
    numbers = count(1)

    def make() -> Prompt:
        number = next(numbers)
        return SHAPES[number % len(SHAPES)].prompt(number)

    async with (
        embedded_engine(folder, "--cache", "every-prompt") as engine,
        worker(engine, folder / "now") as now,
        worker(engine, folder / "before", env=former) as before,
        served.open_session() as session,
    ):
        times: dict[int, list[float]] = {now.pid: [], before.pid: []}
        for running in _alternating(now, before, rounds):
            client = served.kept_client(served.Peer("worker", "native", f"{running.url}/generate/sync"), session)
            spent = await processor_time("worker", client, running.pid, make, rounds=1, jobs=JOBS)
            times[running.pid].append(spent.measured.median)
    ours, theirs = times[now.pid][1:], times[before.pid][1:]  # the first round warms up
    difference = statistics.median(our - their for our, their in zip(ours, theirs, strict=True))
    return LoadRow(
        f"processor time of a job in the whole worker, above that of {FORMER}",
        f"{difference:+.2f} ms ({statistics.median(ours):.2f} ms)",
        f"{statistics.median(theirs):.2f} ms",
        TARGET,
        difference < LIMIT_MS,
    )


def _alternating(first: BenchWorker, second: BenchWorker, rounds: int) -> Iterator[BenchWorker]:
    """Yield both in turns, one more time than `rounds`. Another one begins with each round."""
    for number in range(rounds + 1):
        yield from (first, second) if number % 2 else (second, first)
