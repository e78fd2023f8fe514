"""Settings for outputs: how long they are kept, and how large a response may be."""

from __future__ import annotations

from dataclasses import dataclass

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """Settings for outputs. Durations are in seconds, sizes in MiB."""

    result_ttl_s: float = setting("WORKER_RESULT_TTL", 3600.0, "Seconds that results are kept after the end of a job.")
    inline_max: int = setting(
        "WORKER_INLINE_MAX_MIB",
        64,
        "Size in MiB that all files of one response may have together when they are sent inside it.",
    )
    quota: int = setting(
        "WORKER_OUTPUTS_QUOTA_MIB",
        10240,
        "Disk space in MiB for outputs of ended jobs. Above it, the oldest are deleted before WORKER_RESULT_TTL.",
        flat="outputs_quota",
    )
