"""Where the worker listens, who may ask, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Durations are seconds, sizes MiB."""

    host: str = setting("WORKER_GATEWAY_HOST", "127.0.0.1", "address the gateway listens on")
    port: int = setting("WORKER_GATEWAY_PORT", 18288, "port the gateway listens on; 0 takes a free one")
    public_url: str = setting(
        "WORKER_PUBLIC_URL", "", "where clients reach the gateway, for output URLs; empty: as they asked"
    )
    tokens: SecretStr = setting(
        "WORKER_TOKENS", SecretStr(""), "who may ask, `name=token` between commas; needed to listen beyond this machine"
    )
    metrics_token: SecretStr = setting(
        "WORKER_METRICS_TOKEN", SecretStr(""), "opens `GET /metrics`, as a bearer's; empty: this machine only"
    )
    rate_limit: int = setting(
        "WORKER_RATE_LIMIT",
        0,
        "requests for jobs, `/validate`, `/convert` and deliveries that one token may send in a minute; 0: no limit",
    )
    max_body: int = setting("WORKER_MAX_BODY_MIB", 100, "largest request body; above it the answer is 413")
    cors_origins: str = setting(
        "WORKER_CORS_ORIGINS", "", "origins of pages that may use the gateway: `https://app.example.com, ...`, or `*`"
    )
    trusted_proxies: str = setting(
        "WORKER_TRUSTED_PROXIES",
        "",
        "reverse proxies whose `X-Forwarded-*` headers count: addresses and networks, `10.0.0.0/8, ::1`",
    )
    allowed_hosts: str = setting(
        "WORKER_ALLOWED_HOSTS",
        "",
        "names besides localhost by which clients reach the gateway: `api.example.com, *.corp.example, worker:18288`",
    )
