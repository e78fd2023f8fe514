"""The changes that the worker makes to a prompt before it runs, as data for responses and the journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Repair:
    """One change of a prompt whose meaning is certain.

    `code` is its stable name. `input` is None when the whole node was changed, and `sent` and `runs` are classes of
    nodes then. `sent` is None for a missing input, and `runs` for a removed node.
    """

    message: str
    code: str
    node_id: str
    node_title: str | None = None
    input: str | None = None
    sent: Any = None
    runs: Any = None


@dataclass(frozen=True, slots=True)
class RandomInteger:
    """The value of a `__RANDOM_INT__` in a workflow, or a drawn seed.

    `input` is a dotted path if the value is inside a list or object.
    """

    node_id: str
    input: str
    value: int


@dataclass(frozen=True, slots=True)
class SeedField:
    """An input that gets a new seed for each job, from `min` to `max`, both included.

    Inputs that one field of the editor feeds have the same `shared` and get the same seed.
    """

    node_id: str
    input: str
    min: int
    max: int
    shared: str = ""

    @property
    def source(self) -> str:
        """Key of the editor's field that feeds the input. Inputs with the same key get the same seed."""
        return self.shared or f"{self.node_id} {self.input}"
