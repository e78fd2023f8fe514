"""How long results are kept, and how much of them travels inside an answer."""

from __future__ import annotations

from dataclasses import dataclass

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """Durations are seconds, sizes MiB."""

    result_ttl_s: float = setting("WORKER_RESULT_TTL", 3600.0, "how long results are kept after a job's end")
    inline_max: int = setting(
        "WORKER_INLINE_MAX_MIB", 64, "most that the files of one answer may have in all, where they travel inside it"
    )
    quota: int = setting(
        "WORKER_OUTPUTS_QUOTA_MIB",
        10240,
        "above this the outputs of ended jobs are forgotten early, oldest first",
        flat="outputs_quota",
    )
