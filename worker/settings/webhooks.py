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
        "Secret that signs the webhooks of requests without their own secret: `whsec_` followed by base64.",
        flat="webhook_secret",
    )
    tries: int = setting(
        "WORKER_WEBHOOK_TRIES", 5, "Maximum number of attempts to send a webhook.", flat="webhook_tries"
    )
    pause_s: float = setting(
        "WORKER_WEBHOOK_PAUSE",
        5.0,
        "Maximum pause in seconds after the first failed attempt. The maximum grows fourfold with each attempt. "
        "The actual pause is random, at least half of the maximum.",
        flat="webhook_pause_s",
    )
    timeout_s: float = setting(
        "WORKER_WEBHOOK_TIMEOUT",
        15.0,
        "Seconds within which the receiver of a webhook must respond.",
        flat="webhook_timeout_s",
    )
