"""What URLs may name, and how much is fetched from there."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """Durations are seconds, sizes MiB."""

    allow: str = setting(
        "WORKER_FETCH_ALLOW",
        "",
        "internal hosts that URLs may name: `minio:9000, *.corp.example, 10.0.0.0/8, [fd00::/8]:8080`",
        flat="fetch_allow",
    )
    ports: str = setting(
        "WORKER_FETCH_PORTS", "80, 443", "ports of the public internet that URLs may name", flat="fetch_ports"
    )
    auth: SecretStr = setting(
        "WORKER_FETCH_AUTH",
        SecretStr(""),
        'credentials by host: `{"huggingface.co": "Bearer hf_...", "*.x.org": {"X-Key": "..."}}`',
        flat="fetch_auth",
    )
    max_size: int = setting("WORKER_FETCH_MAX_MIB", 1024, "largest file behind an input's URL", flat="fetch_max")
    timeout_s: float = setting(
        "WORKER_FETCH_TIMEOUT", 600.0, "longest time for one file behind a URL", flat="fetch_timeout_s"
    )
    idle_s: float = setting("WORKER_FETCH_IDLE", 30.0, "longest time without a byte of it", flat="fetch_idle_s")
    cache: int = setting(
        "WORKER_FETCH_CACHE_MIB", 10240, "most disk that fetched files take, running jobs' included", flat="fetch_cache"
    )
