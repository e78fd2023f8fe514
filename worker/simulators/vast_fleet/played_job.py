"""What happened to one job of a replay."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlayedJob:
    """A served job. Times are seconds of the trace since its start.

    Attributes:
        index: Index in the trace.
        kind: Its kind, which is its model.
        seconds: How long its sampler was told to run.
        load_s: How long the loader of its model was told to run, after a job of another kind.
        sent_s: When the client sent it.
        entered_s: When its worker received it.
        started_s: When ComfyUI began to run it.
        ended_s: When ComfyUI had run it.
        worker: Number of the worker.
        attempts: How often the router gave it to a worker.
    """

    index: int
    kind: str
    seconds: float
    load_s: float
    sent_s: float
    entered_s: float
    started_s: float
    ended_s: float
    worker: int
    attempts: int
