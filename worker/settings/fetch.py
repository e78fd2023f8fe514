"""Settings for downloads: which hosts URLs may name, and size and time limits."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """Settings for downloads. Durations are in seconds, sizes in MiB."""

    allow: str = setting(
        "WORKER_FETCH_ALLOW",
        "",
        "Internal hosts whose URLs may be fetched: `minio:9000, *.corp.example, 10.0.0.0/8, [fd00::/8]:8080`.",
        flat="fetch_allow",
    )
    ports: str = setting(
        "WORKER_FETCH_PORTS", "80, 443", "Ports of public hosts from which URLs may be fetched.", flat="fetch_ports"
    )
    auth: SecretStr = setting(
        "WORKER_FETCH_AUTH",
        SecretStr(""),
        'Credentials for downloads, by host: `{"huggingface.co": "Bearer hf_...", "*.x.org": {"X-Key": "..."}}`.',
        flat="fetch_auth",
    )
    max_size: int = setting(
        "WORKER_FETCH_MAX_MIB", 1024, "Largest input file in MiB that is fetched from a URL.", flat="fetch_max"
    )
    timeout_s: float = setting(
        "WORKER_FETCH_TIMEOUT", 600.0, "Seconds within which the download of one file must end.", flat="fetch_timeout_s"
    )
    idle_s: float = setting(
        "WORKER_FETCH_IDLE", 30.0, "Seconds without a received byte after which a download fails.", flat="fetch_idle_s"
    )
    cache: int = setting(
        "WORKER_FETCH_CACHE_MIB",
        10240,
        "Disk space in MiB for fetched input files, including those of running jobs.",
        flat="fetch_cache",
    )
