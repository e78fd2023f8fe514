"""Settings for outputs: how long they are kept, and how large a response may be."""

from __future__ import annotations

from dataclasses import dataclass

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """Settings for outputs. Durations are in seconds, sizes in MiB."""

    result_ttl_s: float = setting(
        "WORKER_RESULT_TTL", 3600.0, "Seconds for which the result of a job is kept after the job has ended."
    )
    inline_max: int = setting(
        "WORKER_INLINE_MAX_MIB",
        64,
        "Total size in MiB of the files that one response may contain.",
    )
    quota: int = setting(
        "WORKER_OUTPUTS_QUOTA_MIB",
        10240,
        "Disk space in MiB for outputs of ended jobs. When they need more, the oldest are deleted before they expire "
        "(WORKER_RESULT_TTL).",
        flat="outputs_quota",
    )
