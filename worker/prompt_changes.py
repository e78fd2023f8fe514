"""What the worker changes in a prompt before it runs, as facts for answers and the journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing that runs in another form than it was sent, because what was sent has one certain meaning.

    `input` is None where the whole node is meant: `sent` and `runs` are names of classes then. `sent` is None for an
    input that was missing, `runs` for a node that is left out. `code` is a word for programs.
    """

    message: str
    code: str
    node_id: str
    node_title: str | None = None
    input: str | None = None
    sent: Any = None
    runs: Any = None


@dataclass(frozen=True, slots=True)
class SeedField:
    """An input that gets a fresh seed whenever a job runs, from `min` to `max`, both included.

    Fields that one field of the editor's feeds have the same `shared`, and get the same seed.
    """

    node_id: str
    input: str
    min: int
    max: int
    shared: str = ""

    @property
    def source(self) -> str:
        return self.shared or f"{self.node_id} {self.input}"
