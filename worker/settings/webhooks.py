"""Settings for webhooks: signing, attempts and timeouts."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Settings for webhooks. Durations are in seconds."""

    secret: SecretStr = setting(
        "WORKER_WEBHOOK_SECRET",
        SecretStr(""),
        "Secret that signs the webhooks of requests without their own: `whsec_` and base64.",
        flat="webhook_secret",
    )
    tries: int = setting(
        "WORKER_WEBHOOK_TRIES", 5, "Attempts to send a webhook before the worker gives up.", flat="webhook_tries"
    )
    pause_s: float = setting(
        "WORKER_WEBHOOK_PAUSE",
        5.0,
        "Longest pause in seconds after the first failed attempt. The limit of each further pause is four times as "
        "high.",
        flat="webhook_pause_s",
    )
    timeout_s: float = setting(
        "WORKER_WEBHOOK_TIMEOUT",
        15.0,
        "Seconds that the receiver of a webhook may take to respond.",
        flat="webhook_timeout_s",
    )
