"""Faults on demand: what can go wrong in this engine when somebody asks for it, and how one asks. Pure.

crash@3;times=1          node 3 ends the process, once, also counting earlier lives of the engine
slow@KSampler;factor=5   every node of that class takes five times as long
oom;times=2,late         the first two nodes that run raise; the history of one job comes late
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from worker.errors import InvalidFault


class FaultKind(StrEnum):
    """What happens when the node is about to run."""

    CRASH = "crash"
    """The process is gone, as by a segmentation fault."""
    HANG = "hang"
    """The node never ends and can't be interrupted; HTTP goes on answering."""
    FREEZE = "freeze"
    """The process stops (SIGSTOP): nothing answers, connections stay open."""
    SLOW = "slow"
    """`seconds` of silence before the node, and `factor` times its own simulated work."""
    OOM = "oom"
    """The node raises torch.OutOfMemoryError."""
    CUDA = "cuda"
    """The node raises torch.AcceleratorError, and so does every later one, and /system_stats is 500: a broken GPU."""
    THREAD = "thread"
    """After this prompt no other runs, though prompts are accepted."""
    DROP = "drop"
    """All WebSockets break."""
    DEAF = "deaf"
    """All WebSockets stay open and hear nothing more."""
    LATE = "late"
    """The prompt's history appears `seconds` after its end."""
    FULL = "full"
    """The node raises OSError: no space left on device."""
    ERRORS = "errors"
    """The next `count` requests are answered 500."""


ANYWHERE = {"times": 1.0, "after": 0.0}
"""How often it happens (0: each time), and how many chances are passed by before the first."""
PARAMETERS = {
    FaultKind.SLOW: {"seconds": 0.0, "factor": 1.0, "times": 0.0},
    FaultKind.LATE: {"seconds": 3.0},
    FaultKind.ERRORS: {"count": 1.0},
}


@dataclass(frozen=True, slots=True)
class EngineFault:
    """`where` is a node id or a class, empty for any node; `spec` is the text it was written as."""

    kind: FaultKind
    where: str
    numbers: dict[str, float]
    spec: str

    def fits(self, node_id: str, class_type: str) -> bool:
        return self.where in {"", node_id, class_type}

    def __getitem__(self, name: str) -> float:
        return self.numbers[name]


def parse_faults(text: str) -> list[EngineFault]:
    """Read `KIND[@NODE][;NAME=NUMBER]...`, several between commas. Raises InvalidFault."""
    return [parse_fault(part) for part in map(str.strip, text.split(",")) if part]


def parse_fault(spec: str) -> EngineFault:
    head, *assignments = (part.strip() for part in spec.split(";"))
    kind_name, _, where = head.partition("@")
    try:
        kind = FaultKind(kind_name)
    except ValueError:
        raise InvalidFault(f"no fault is called {kind_name!r}; there are {', '.join(FaultKind)}") from None
    numbers = {**ANYWHERE, **PARAMETERS.get(kind, {})}
    for assignment in assignments:
        name, _, value = assignment.partition("=")
        if name not in numbers:
            raise InvalidFault(f"{kind} has no {name!r}; it has {', '.join(numbers)}")
        try:
            numbers[name] = float(value)
        except ValueError:
            raise InvalidFault(f"{name}={value!r} is not a number") from None
        if not 0 <= numbers[name] < float("inf"):
            raise InvalidFault(f"{name}={value!r} is not a number from 0 on")
    return EngineFault(kind, where, numbers, spec)
