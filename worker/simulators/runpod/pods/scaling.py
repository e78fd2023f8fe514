"""How many workers an endpoint should have. There is no I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PodScaling:
    """The `workers` and `scaling` of an endpoint.

    Without `request_count` the scaler is QUEUE_DELAY: a worker is added while a job has waited for `queue_delay_s`
    seconds. With it the scaler is REQUEST_COUNT: one worker for that number of open jobs.
    """

    min_workers: int = 0
    max_workers: int = 1
    idle_timeout_s: float = 5.0
    queue_delay_s: float = 4.0
    request_count: int | None = None


@dataclass(frozen=True, slots=True)
class PodDemand:
    """The open work of an endpoint: the seconds that each queued job has waited, and the number of running jobs.

    Jobs with `lowPriority` are not part of it, unless a worker runs them.
    """

    waited_s: Sequence[float]
    in_progress: int


@dataclass(frozen=True, slots=True)
class PodActivity:
    """A running worker, and the seconds for which it has been idle. None means that it is starting, or has a job."""

    id: str
    idle_s: float | None


def wanted_workers(scaling: PodScaling, demand: PodDemand) -> int:
    """Return the number of workers that there should be."""
    if scaling.request_count:
        needed = math.ceil((len(demand.waited_s) + demand.in_progress) / scaling.request_count)
    else:
        needed = demand.in_progress + sum(waited_s >= scaling.queue_delay_s for waited_s in demand.waited_s)
    return min(max(needed, scaling.min_workers), scaling.max_workers)


def workers_to_start(
    wanted: int, running: int, ended: Sequence[tuple[str, float]], now: float
) -> tuple[list[str], int]:
    """Return the ids of the ended workers that start again now, and the number of new workers.

    `ended` are workers whose process has ended, with the time from which each may start again. A worker that waits for
    that time is not replaced by a new one.
    """
    missing = max(0, wanted - running)
    due = [pod_id for pod_id, start_after in ended[:missing] if now >= start_after]
    return due, max(0, missing - len(ended))


def workers_to_stop(scaling: PodScaling, wanted: int, pods: Iterable[PodActivity]) -> list[str]:
    """Return the ids of the workers that have been idle for too long, the longest first."""
    present = list(pods)
    idle = [(pod.idle_s, pod.id) for pod in present if pod.idle_s is not None and pod.idle_s >= scaling.idle_timeout_s]
    surplus = max(0, len(present) - wanted)
    return [pod_id for _, pod_id in sorted(idle, reverse=True)[:surplus]]
