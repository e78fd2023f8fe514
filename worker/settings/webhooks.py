"""How webhooks are sent and signed."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Durations are seconds, sizes MiB."""

    secret: SecretStr = setting(
        "WORKER_WEBHOOK_SECRET",
        SecretStr(""),
        "signs webhooks that name no secret: `whsec_` and base64",
        flat="webhook_secret",
    )
    tries: int = setting(
        "WORKER_WEBHOOK_TRIES", 5, "how often a webhook is sent before it is given up", flat="webhook_tries"
    )
    pause_s: float = setting(
        "WORKER_WEBHOOK_PAUSE",
        5.0,
        "longest pause after a webhook's first failure; four times as long after each further one",
        flat="webhook_pause_s",
    )
    timeout_s: float = setting(
        "WORKER_WEBHOOK_TIMEOUT", 15.0, "how long a webhook's receiver may take", flat="webhook_timeout_s"
    )
