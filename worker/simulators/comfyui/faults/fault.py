"""Faults that the embedded engine can inject, and the syntax that requests them.

crash@3;times=1          node 3 ends the process once. Earlier runs of the engine are counted.
slow@KSampler;factor=5   every node of that class takes five times as long.
oom;times=2,late         the first two nodes that run raise, and the history entry of one job is delayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.errors import InvalidFault


class FaultKind(StrEnum):
    """Kinds of faults. Each happens just before a node runs."""

    CRASH = "crash"
    """The process ends at once, as after a segmentation fault."""
    HANG = "hang"
    """The node never ends and cannot be interrupted. The HTTP server still responds."""
    FREEZE = "freeze"
    """The process stops (SIGSTOP). No request is answered, and connections stay open."""
    SLOW = "slow"
    """The engine waits `seconds` before the node, and the node's simulated work takes `factor` times as long."""
    OOM = "oom"
    """The node raises torch.OutOfMemoryError."""
    CUDA = "cuda"
    """A broken GPU: this node and every later one raise torch.AcceleratorError, and /system_stats returns 500."""
    THREAD = "thread"
    """No prompt runs after this one. New prompts are still accepted."""
    DROP = "drop"
    """All WebSocket connections are closed without a close frame."""
    DEAF = "deaf"
    """All WebSockets stay open and get no more frames."""
    LATE = "late"
    """The prompt's history entry appears `seconds` after its end."""
    FULL = "full"
    """The node raises OSError: no space left on device."""
    ERRORS = "errors"
    """The next `count` requests get a 500 response."""


COMMON_PARAMETERS = {"times": 1.0, "after": 0.0}
"""Parameters of every kind, with defaults. The fault happens `times` times (0 means always), after `after` chances."""
PARAMETERS = {
    FaultKind.SLOW: {"seconds": 0.0, "factor": 1.0, "times": 0.0},
    FaultKind.LATE: {"seconds": 3.0},
    FaultKind.ERRORS: {"count": 1.0},
}


@dataclass(frozen=True, slots=True)
class EngineFault:
    """One requested fault."""

    kind: FaultKind
    where: str
    """Node id or class of the nodes concerned. Empty means any node."""
    numbers: dict[str, float]
    """Values of the parameters by name."""
    spec: str
    """The text that requested the fault."""

    def matches(self, node_id: str, class_type: str) -> bool:
        """Return whether the fault concerns this node."""
        return self.where in {"", node_id, class_type}

    def __getitem__(self, name: str) -> float:
        """Return a parameter of the fault, such as `times`."""
        return self.numbers[name]


def parse_faults(text: str) -> list[EngineFault]:
    """Read one or several faults `KIND[@NODE][;NAME=NUMBER]...`, separated by commas. Raises InvalidFault."""
    return [parse_fault(part) for part in map(str.strip, text.split(",")) if part]


def parse_fault(spec: str) -> EngineFault:
    """Read one fault `KIND[@NODE][;NAME=NUMBER]...`. Raises InvalidFault for an unknown kind, parameter or value."""
    head, *assignments = (part.strip() for part in spec.split(";"))
    kind_name, _, where = head.partition("@")
    try:
        kind = FaultKind(kind_name)
    except ValueError:
        raise InvalidFault(f"unknown fault {kind_name!r}. Valid faults: {', '.join(FaultKind)}") from None
    numbers = {**COMMON_PARAMETERS, **PARAMETERS.get(kind, {})}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        if name not in numbers:
            raise InvalidFault(f"fault {kind} has no parameter {name!r}. Valid parameters: {', '.join(numbers)}")
        try:
            numbers[name] = float(value)
        except ValueError:
            raise InvalidFault(f"fault {kind}: {name}={value!r} is not a number") from None
        if not 0 <= numbers[name] < float("inf"):
            raise InvalidFault(f"fault {kind}: {name}={value!r} must be a finite number of 0 or more")
    return EngineFault(kind, where, numbers, spec)
