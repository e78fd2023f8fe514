"""The change of one value of a node."""

from __future__ import annotations

from dataclasses import dataclass

from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.json_value import Json


@dataclass(frozen=True, slots=True)
class ValueChange:
    """The value that was sent for an input, and the one that runs.

    If `fresh` is set, a random seed is drawn when the job runs, and `runs` is only a placeholder.
    """

    input: str
    sent: Json
    runs: Json
    code: str
    message: str
    fresh: InputSpec | None = None
