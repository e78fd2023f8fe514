"""Settings of a worker on RunPod: variables that RunPod sets in a container, and those that an operator may set."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from worker.platforms.platform_settings import PlatformSettings
from worker.settings import setting

SHORTEST_PING_S = 1.0
"""RunPod's SDK divides the interval by 1000 without a remainder, and its ping process dies at 0 (R19)."""


@dataclass(frozen=True, slots=True)
class RunpodSettings(PlatformSettings):
    """Settings from the environment. Durations are in seconds, except `ping_interval_ms`."""

    take_url: str = setting("RUNPOD_WEBHOOK_GET_JOB", "", "URL from which jobs are taken (set by RunPod)")
    done_url: str = setting("RUNPOD_WEBHOOK_POST_OUTPUT", "", "URL to which results are sent (set by RunPod)")
    stream_url: str = setting("RUNPOD_WEBHOOK_POST_STREAM", "", "URL for parts of results (set by RunPod)")
    ping_url: str = setting("RUNPOD_WEBHOOK_PING", "", "URL for heartbeats (set by RunPod)")
    ping_interval_ms: int = setting(
        "RUNPOD_PING_INTERVAL", 10000, "milliseconds between heartbeats, at least 1000 (set by RunPod)"
    )
    api_key: SecretStr = setting(
        "RUNPOD_AI_API_KEY", SecretStr(""), "key of the worker for the calls above (set by RunPod)"
    )
    pod_id: str = setting("RUNPOD_POD_ID", "", "id of the worker (set by RunPod)")
    endpoint_id: str = setting("RUNPOD_ENDPOINT_ID", "", "id of the endpoint (set by RunPod)")
    init_timeout_s: float = setting(
        "RUNPOD_INIT_TIMEOUT",
        420.0,
        "seconds after which RunPod gives up a worker that does not take jobs. ComfyUI and the models have to be ready "
        "by then",
    )
    prefetch_s: float = setting(
        "WORKER_RUNPOD_PREFETCH",
        5.0,
        "the next job is taken when the running one is expected to end within this many seconds. 0 means that it is "
        "taken when the running one has ended",
    )
    progress_s: float = setting(
        "WORKER_RUNPOD_PROGRESS", 1.0, "seconds between two progress updates of a job, at least 1. 0 means none"
    )
    stream: bool = setting(
        "WORKER_RUNPOD_STREAM",
        False,
        "whether progress updates are parts of the job's stream, for clients of `/stream`, instead of its `output`",
    )
    refresh: bool = setting(
        "REFRESH_WORKER", False, "whether the worker stops its pod after each job, as worker-comfyui does"
    )

    @property
    def has_queue(self) -> bool:
        """Whether this is a worker of a queue-based endpoint."""
        return bool(self.take_url)

    @property
    def ping_s(self) -> float:
        """Seconds between heartbeats."""
        return max(self.ping_interval_ms / 1000, SHORTEST_PING_S)
