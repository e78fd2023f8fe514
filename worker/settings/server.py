"""Settings for the HTTP server: address, callers and limits."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Settings for the HTTP server. Sizes are in MiB."""

    host: str = setting(
        "WORKER_GATEWAY_HOST", "127.0.0.1", "Address on which the gateway, the worker's HTTP server, listens."
    )
    port: int = setting("WORKER_GATEWAY_PORT", 18288, "Port on which the gateway listens. 0 means any free port.")
    public_url: str = setting(
        "WORKER_PUBLIC_URL",
        "",
        "URL at which clients reach the gateway. The URLs of outputs begin with it. Empty means the URL of "
        "the request.",
    )
    tokens: SecretStr = setting(
        "WORKER_TOKENS",
        SecretStr(""),
        "Tokens of the callers: `name=token`, separated by commas. Required to listen on an address that "
        "other machines can reach.",
    )
    metrics_token: SecretStr = setting(
        "WORKER_METRICS_TOKEN",
        SecretStr(""),
        "Bearer token for `GET /metrics`. Empty means that only this machine can read the metrics.",
    )
    rate_limit: int = setting(
        "WORKER_RATE_LIMIT",
        0,
        "Requests per minute that each token may send to start jobs, validate, convert and deliver. 0 means no limit.",
    )
    max_body: int = setting(
        "WORKER_MAX_BODY_MIB", 100, "Largest request body in MiB. A larger one is rejected with 413."
    )
    cors_origins: str = setting(
        "WORKER_CORS_ORIGINS",
        "",
        "Origins of web pages that may use the gateway: `https://app.example.com, ...`. `*` means all.",
    )
    trusted_proxies: str = setting(
        "WORKER_TRUSTED_PROXIES",
        "",
        "Reverse proxies whose `X-Forwarded-*` headers are trusted, as addresses and networks: `10.0.0.0/8, ::1`.",
    )
    allowed_hosts: str = setting(
        "WORKER_ALLOWED_HOSTS",
        "",
        "Host names besides localhost at which clients reach the gateway: `api.example.com, *.corp.example, "
        "worker:18288`.",
    )
    health_path: str = setting(
        "WORKER_HEALTH_PATH",
        "/ping",
        "Another path of `GET /ping`, the health check of load balancers: 200 if the worker takes requests, 204 while "
        "it starts, 503 otherwise.",
    )
    health_port: int = setting(
        "WORKER_HEALTH_PORT", 0, "Another port with `GET /ping` and `GET /health` only. 0 means none."
    )
    serve_api_locally: bool = setting(
        "SERVE_API_LOCALLY",
        False,
        "worker-comfyui's variable: whether the gateway listens on 0.0.0.0:8000, unless WORKER_GATEWAY_HOST and "
        "WORKER_GATEWAY_PORT are set. It needs WORKER_TOKENS there.",
    )
    comfy_api: bool = setting(
        "WORKER_COMFY_API",
        False,
        "Whether the gateway also serves ComfyUI's own API (`/prompt`, `/ws`, `/history`, `/view` and others), with "
        "the tokens and limits of the gateway. It needs a platform on which clients reach the gateway itself.",
    )
