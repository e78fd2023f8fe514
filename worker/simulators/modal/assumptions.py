"""What the simulation assumes about the parts of Modal whose code is not public: the scheduler and the HTTP edge.

Each field names its source: the page of Modal's documentation, or `unknown` for a guess. docs/modal.md lists them.
"""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, get_type_hints


@dataclass(frozen=True, slots=True)
class ModalAssumptions:
    """Switches for the behavior of the closed parts. Durations are seconds."""

    http_limit_s: Annotated[float, "docs, guide/webhook-timeouts: a request without a response gets a 303"] = 150.0
    edge_reports_disconnect: Annotated[bool, "unknown: whether the edge passes on that a client has left"] = True
    proxy_auth: Annotated[bool, "docs, guide/webhook-proxy-auth: 401 without Modal-Key and Modal-Secret"] = True
    cold_start_s: Annotated[float, "unknown: seconds before a container of a cold pool starts"] = 0.0
    scaledown_s: Annotated[float, "docs, guide/cold-start: idle seconds if the app sets no scaledown_window"] = 60.0
    stop_signal: Annotated[signal.Signals, "unknown: the signal at scale-down, redeploy and preemption"] = signal.SIGINT
    stop_grace_s: Annotated[float, "docs, guide/preemption: seconds from the signal to SIGKILL"] = 30.0
    preempted_input_is_requeued: Annotated[bool, "docs, guide/preemption: its inputs run again elsewhere"] = True
    heartbeat_s: Annotated[float, "unknown: the longest that a heartbeat waits for cancellations"] = 14.9
    crash_pause_s: Annotated[float, "docs, guide/troubleshooting: crash-loop backoff; its length is unknown"] = 1.0
    crash_longest_pause_s: Annotated[float, "docs, guide/troubleshooting: crash-loop backoff"] = 60.0
    sync_client_retries: Annotated[bool, "read in the client: it repeats failed inputs of .remote() itself"] = True

    @classmethod
    def table(cls) -> Iterator[tuple[str, str, str]]:
        """Yield rows of (name, default, source)."""
        hints = get_type_hints(cls, include_extras=True)
        for entry in dataclasses.fields(cls):
            default = entry.default.name if isinstance(entry.default, signal.Signals) else str(entry.default)
            yield entry.name, default, hints[entry.name].__metadata__[0]
