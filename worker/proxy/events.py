"""Facts about jobs of the proxy, for its log and its metrics."""

from __future__ import annotations

from dataclasses import dataclass

from worker.proxy.dispatch.routing import Demotion
from worker.proxy.job import AttemptOutcome, ProxyJob


@dataclass(frozen=True, slots=True)
class JobReceived:
    """A job was accepted by the proxy."""

    job: ProxyJob


@dataclass(frozen=True, slots=True)
class BackendPassedOver:
    """A job is sent to another backend first, because of the state of this one."""

    job: ProxyJob
    backend: str
    demotion: Demotion


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A job is sent to a backend."""

    job: ProxyJob
    backend: str


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A backend no longer has a job."""

    job: ProxyJob
    backend: str
    outcome: AttemptOutcome


@dataclass(frozen=True, slots=True)
class JobEnded:
    """A job has ended, with the result in it."""

    job: ProxyJob


@dataclass(frozen=True, slots=True)
class RequestRejected:
    """A request was answered with an error of the proxy itself."""

    route: str
    code: str
    status: int


ProxyEvent = JobReceived | BackendPassedOver | AttemptStarted | AttemptEnded | JobEnded | RequestRejected
