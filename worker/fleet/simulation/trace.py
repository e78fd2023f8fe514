"""A trace: when jobs arrive, and how much work each of them is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TraceJob:
    """One job of a trace.

    Attributes:
        at_s: Arrival, in seconds since the start of the trace.
        units: Work that a client states and a worker reports. One unit is a second on an RTX 4090, by the closed form.
        seconds: GPU seconds that the job really takes on an RTX 4090, with its models in memory.
        kind: A name for jobs that share their models, such as a template's name. A worker that runs another kind than
            before loads models first.
    """

    at_s: float
    units: float
    seconds: float
    kind: str = ""
