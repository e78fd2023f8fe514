"""Limits on the work that is accepted and the time that it may take."""

from __future__ import annotations

from dataclasses import dataclass

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Limits on jobs. Durations are in seconds, sizes in MiB."""

    queue_ahead: int = setting(
        "WORKER_QUEUE_AHEAD", 2, "Prepared jobs that wait in ComfyUI's own queue behind the running job."
    )
    max_queue: int = setting(
        "WORKER_MAX_QUEUE", 100, "Number of jobs that may wait or run. Above it, a request gets 429."
    )
    max_wait_s: float = setting(
        "WORKER_MAX_WAIT",
        600.0,
        "Seconds that the queued jobs may take, as estimated from earlier jobs. Above it, a request gets 429."
        " 0 means no limit.",
    )
    min_free: int = setting(
        "WORKER_MIN_FREE_MIB", 256, "Free space in MiB on the disk of the state folder below which requests get 503."
    )
    job_timeout_s: float = setting(
        "WORKER_JOB_TIMEOUT", 3600.0, "Seconds after which a job without its own `timeout_s` ends with an error."
    )
    hangup_grace_s: float = setting(
        "WORKER_HANGUP_GRACE",
        5.0,
        "Seconds after which a job is cancelled when no client waits for it any more.",
    )
    drain_s: float = setting("WORKER_DRAIN", 30.0, "Seconds within which running jobs can finish after SIGTERM.")
    sync_limit_s: float = setting(
        "WORKER_SYNC_LIMIT",
        0.0,
        "Seconds after which a synchronous request returns 202. 0 means no limit, or the platform's limit (540 on "
        "Vast).",
    )
