"""How much work is accepted, and how long it may take."""

from __future__ import annotations

from dataclasses import dataclass

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Durations are seconds, sizes MiB."""

    queue_ahead: int = setting("WORKER_QUEUE_AHEAD", 2, "prepared jobs that wait inside ComfyUI behind the running one")
    max_queue: int = setting("WORKER_MAX_QUEUE", 100, "jobs that may wait or run; one more is answered 429")
    max_wait_s: float = setting(
        "WORKER_MAX_WAIT",
        600.0,
        "seconds of work, by measured pace, that may wait before a new job; above: 429; 0: any",
    )
    min_free: int = setting(
        "WORKER_MIN_FREE_MIB", 256, "room on the state folder's disk below which no job is accepted (503)"
    )
    job_timeout_s: float = setting("WORKER_JOB_TIMEOUT", 3600.0, "longest life of a job that names no `timeout_s`")
    hangup_grace_s: float = setting(
        "WORKER_HANGUP_GRACE", 5.0, "how long a job outlives the last client that waited for it"
    )
    drain_s: float = setting("WORKER_DRAIN", 30.0, "how long running jobs may go on after SIGTERM")
    sync_limit_s: float = setting(
        "WORKER_SYNC_LIMIT",
        0.0,
        "a sync request is answered 202 after this; 0: never, or the platform's limit (540 on Vast)",
    )
