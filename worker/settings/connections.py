"""Settings for the connections of clients: time limits, and the number of unauthenticated connections."""

from __future__ import annotations

from dataclasses import dataclass

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Limits on connections. Durations are in seconds."""

    header_s: float = setting(
        "WORKER_HEADER_TIMEOUT", 20.0, "Seconds within which the headers of a request must arrive."
    )
    body_s: float = setting(
        "WORKER_BODY_TIMEOUT",
        30.0,
        "Seconds for which a body may arrive at less than 512 bytes per second before the connection is "
        "closed. On Vast's port, the signature of a request must also arrive within this time.",
    )
    max_unauthenticated: int = setting(
        "WORKER_MAX_CONNECTIONS",
        1024,
        "Maximum number of unauthenticated connections for each port. A connection is unauthenticated until a valid "
        "signature or token arrives on it. One address may have half of them.",
    )
