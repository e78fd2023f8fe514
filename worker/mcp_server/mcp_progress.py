"""The progress of a job as MCP reports it: a number that grows from 0 to 1, and one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_BEFORE_END = 0.99
SMALLEST_STEP = 0.001
"""Share of the rest by which the number grows at least, because every report has to exceed the one before."""

SHORTEST_PAUSE_S = 0.25
"""Seconds between two reports of steps. A fast sampler has hundreds of steps a second."""


@dataclass(slots=True)
class McpProgress:
    """What the events of a job have said so far. Times are seconds of a monotonic clock."""

    started_at: float
    value: float = 0.0
    state: str = "waiting for the worker"
    node: str = ""
    step: str = ""
    ends_at: float | None = None
    """Predicted end of the run."""

    reported_at: float = 0.0

    def update(self, name: str, data: Mapping[str, Any], now: float) -> bool:
        """Take in an event. Return whether it is worth a report."""
        if isinstance(eta := data.get("eta_s"), int | float):
            self.ends_at = now + eta
        match name:
            case "state":
                self.state, self.node, self.step = str(data["state"]), "", ""
            case "node":
                self.node, self.step = str(data.get("title") or data["class_type"]), ""
            case "step":
                self.step = f"step {data['value']} of {data['max']}"
                return now - self.reported_at >= SHORTEST_PAUSE_S
            case _:
                return name == "accepted"
        return True

    def report(self, now: float) -> tuple[float, str]:
        """Return the next number, which exceeds all before, and the sentence."""
        elapsed = now - self.started_at
        left = None if self.ends_at is None else max(0.0, self.ends_at - now)
        share = min(MOST_BEFORE_END, elapsed / (elapsed + left)) if left else 0.0
        self.value = max(share, self.value + (1 - self.value) * SMALLEST_STEP)
        self.reported_at = now
        remaining = f"about {left:.0f} s left" if left else ""
        return self.value, ", ".join(filter(None, (self.state, self.node, self.step, remaining)))


def pending_sentence(body: Mapping[str, Any]) -> str:
    """Return the sentence for the response of `GET /jobs/{id}` about a job that has not ended."""
    node, step, eta, position = (body.get(name) for name in ("node", "step", "eta_s", "position"))
    return ", ".join(
        filter(
            None,
            (
                str(body.get("state", "pending")),
                f"{position} jobs before it" if position else "",
                str(node.get("title") or node.get("class_type")) if isinstance(node, dict) else "",
                f"step {step['value']} of {step['max']}" if isinstance(step, dict) else "",
                f"about {eta:.0f} s left" if isinstance(eta, int | float) and eta else "",
            ),
        )
    )
