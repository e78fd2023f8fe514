"""The errors of predictions on the requests of a production service, which are read from a file that is not ours.

The file is `lora_request_trace.csv` of Alibaba's GenTD26 (github.com/alibaba/clusterdata, folder
cluster-trace-v2026-GenAI; Lin et al., SoCC '25): Stable Diffusion requests of 23 days with their seconds, without the
size of the pictures and without the GPU. It is read for measuring only.
"""

from __future__ import annotations

import csv
import statistics
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.load.accuracy import ErrorSummary, Outcome, coverage, floor
from bench.load.part import LoadRow, PartResult, not_run
from worker.load.gpu_classes import REFERENCE
from worker.load.learning.estimator import Estimator, NodeRun
from worker.load.node_work import JobWork, NodeKind, NodeWork

WHAT = "production trace of Stable Diffusion requests: p90 error"
TARGET = "within 2 points of the floor"
TARGET_POINTS = 0.02
ENGINE = "engine-0"
STEP_TFLOP = 1.4
"""One step of Stable Diffusion 1.5 with guidance on 512x512. Sizes are not in the trace."""
FORMER_PACES = 9
"""Jobs whose median speed was the former estimate."""


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """One request that succeeded."""

    seconds: float
    steps: float
    pictures: float
    model: str
    kind: str
    loras: str

    @property
    def group(self) -> tuple[object, ...]:
        """Everything that is known about a request before it runs."""
        return self.kind, self.steps, self.pictures, self.model, self.loras

    @property
    def node(self) -> NodeWork:
        """The request as one sampler."""
        shape = f"{self.kind} {self.steps:g} steps, {self.pictures:g} pictures, {self.loras} LoRAs"
        tflop = STEP_TFLOP * self.steps * self.pictures
        return NodeWork("1", "KSampler", NodeKind.SAMPLER, self.model, shape=shape, tflop=tflop, steps=self.steps)


async def measure(trace: Path | None) -> PartResult:
    """Return the errors on the requests of a trace, in the order in which they arrived."""
    if trace is None:
        return not_run(WHAT, "no TRACE=FILE", TARGET)
    requests = list(read_requests(trace))
    outcomes = list(predicted(requests))
    learned = ErrorSummary.of(outcome.error for outcome in outcomes)
    former = ErrorSummary.of(outcome.error for outcome in formerly_predicted(requests))
    least = floor(outcomes)
    detail = f"floor {least}, p90 covers {coverage(outcomes):.1%}, {len(requests):,} requests"
    met = learned.p90 <= least.p90 + TARGET_POINTS
    row = LoadRow(WHAT, f"{learned.p90:.1%} ({detail})", f"{former.p90:.1%}", TARGET, met)
    note = (
        f"Production trace (GenTD26), median and p90 error: {learned}; the former way {former}, the floor {least}. "
        "The floor is the median of each combination of kind, steps, pictures, model and LoRAs, in hindsight. "
        "The size of the pictures and the GPU are not in the trace, so that no prediction can be much better."
    )
    return PartResult([row], [note])


def read_requests(trace: Path) -> Iterator[TraceRequest]:
    """Yield the requests that succeeded, the earliest first."""
    with trace.open(encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["gmt_create"])
    for row in rows:
        if row["predict_status"] == "SUCCEED" and float(row["exec_time_seconds"] or 0) > 0:
            yield TraceRequest(
                float(row["exec_time_seconds"]),
                float(row["num_inference_steps"] or 0),
                float(row["num_images_per_prompt"] or 1),
                row["checkpoint_model_version_id"],
                row["predict_type"],
                row["num_lora"],
            )


def predicted(requests: list[TraceRequest]) -> Iterator[Outcome]:
    """Predict each request, then learn from it."""
    estimator = Estimator({ENGINE: REFERENCE})
    for request in requests:
        work = JobWork((request.node,), 0.0, {}, {})
        prediction = estimator.job(ENGINE, work)
        yield Outcome(request.group, request.seconds, prediction.p50_s, prediction.p90_s)
        estimator.learn(ENGINE, NodeRun(request.node, request.seconds))
        estimator.job_ended(ENGINE, work)


def formerly_predicted(requests: list[TraceRequest]) -> Iterator[Outcome]:
    """Predict each request as earlier releases did: its units by the median speed of the last jobs."""
    paces: deque[float] = deque(maxlen=FORMER_PACES)
    for request in requests:
        units = max(request.steps * request.pictures, 1.0)
        if paces:
            yield Outcome(request.group, request.seconds, units / statistics.median(paces))
        paces.append(units / request.seconds)
