"""How long a client may take to send a request, and how many strangers may be connected."""

from __future__ import annotations

from dataclasses import dataclass

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Durations are seconds."""

    header_s: float = setting("WORKER_HEADER_TIMEOUT", 20.0, "how long the headers of a request may take")
    body_s: float = setting(
        "WORKER_BODY_TIMEOUT",
        30.0,
        "a body that sends less than 512 bytes/s for this long is given up; a signature has to come within it",
    )
    max_unauthenticated: int = setting(
        "WORKER_MAX_CONNECTIONS",
        1024,
        "connections on a port that have shown no valid signature or token; half of them from one address",
    )
