"""What happened to one job of a replay."""

from __future__ import annotations

from dataclasses import dataclass

from worker.fleet.simulation.trace import TraceJob


@dataclass(frozen=True, slots=True)
class PlayedJob:
    """A served job. Times are seconds of the trace since its start.

    Attributes:
        job: The job of the trace.
        seconds: How long its sampler was told to run.
        sent_s: When the client sent it.
        entered_s: When its worker received it.
        started_s: When ComfyUI began to run it.
        ended_s: When ComfyUI had run it.
        worker: Number of the worker.
    """

    job: TraceJob
    seconds: float
    sent_s: float
    entered_s: float
    started_s: float
    ended_s: float
    worker: int

    @property
    def wait_s(self) -> float:
        """Seconds from its arrival until it began to run."""
        return self.started_s - self.job.at_s
