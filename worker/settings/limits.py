"""Limits on the work that is accepted, on the time that it may take, and on how slow the machine may be."""

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
        "WORKER_MAX_QUEUE", 100, "Maximum number of jobs that wait or run. Further requests get 429."
    )
    max_wait_s: float = setting(
        "WORKER_MAX_WAIT",
        600.0,
        "Predicted seconds until an engine is free, above which further requests get 429. 0 means no limit.",
    )
    min_free: int = setting(
        "WORKER_MIN_FREE_MIB",
        256,
        "If the disk of the state folder has less free space than this, in MiB, requests get 503.",
    )
    job_timeout_s: float = setting(
        "WORKER_JOB_TIMEOUT", 3600.0, "Seconds after which a job without its own `timeout_s` ends with an error."
    )
    hangup_grace_s: float = setting(
        "WORKER_HANGUP_GRACE",
        5.0,
        "A job is cancelled if no client has waited for it for this many seconds.",
    )
    drain_s: float = setting("WORKER_DRAIN", 30.0, "Seconds within which running jobs can finish after SIGTERM.")
    sync_limit_s: float = setting(
        "WORKER_SYNC_LIMIT",
        0.0,
        "Seconds after which a synchronous request returns 202. 0 means no limit, or the platform's limit (540 on "
        "Vast).",
    )
    slow_factor: float = setting(
        "WORKER_SLOW_FACTOR",
        1.5,
        "An engine counts as slow if its nodes need this many times as long as was learned about its GPU model.",
    )
    slow_after_s: float = setting(
        "WORKER_SLOW_AFTER", 300.0, "Seconds for which an engine has to be slow until this is logged and reported."
    )
    min_perf: float = setting(
        "WORKER_MIN_PERF",
        0.0,
        "If the machine is slower than this share of the speed of its GPU model, the worker may report itself as broken"
        " to the platform and end. 0 means never, and 0.8 is the largest value. docs/gpus.md has the conditions.",
    )
