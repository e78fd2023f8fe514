"""Another value for one input of a node."""

from __future__ import annotations

from dataclasses import dataclass

from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.json_value import Json


@dataclass(frozen=True, slots=True)
class ValueChange:
    """What was sent and what runs. With `fresh` a seed is drawn when the job runs, and `runs` only stands for it."""

    input: str
    sent: Json
    runs: Json
    code: str
    message: str
    fresh: InputSpec | None = None
