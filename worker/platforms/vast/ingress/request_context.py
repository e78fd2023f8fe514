"""One request on its way through the SDK: what we know of it and the SDK's callbacks are not told."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from worker.platforms.vast.ingress.signature_check import Grant
from worker.platforms.vast.reporting.ledger import Ledger


@dataclass(frozen=True, slots=True)
class JobHandle:
    """A job that goes on after its request was answered; `token` opens it."""

    job_id: str
    token: str


@dataclass(slots=True)
class RequestContext:
    """`status` is the gateway's, None while it has not answered."""

    grant: Grant
    workload: float
    ledger: Ledger
    repeat_key: str
    """The same for the same request by the router's numbers, and for nothing else."""
    status: int | None = None
    job_handle: JobHandle | None = None

    @property
    def rejected(self) -> bool:
        """There was room when the door asked, and none any more when the gateway did."""
        return self.status in {429, 503}


VISIT: ContextVar[RequestContext] = ContextVar("visit")
"""Set by the door; the SDK handles a request in the task that it came in with, or in a child of that."""
