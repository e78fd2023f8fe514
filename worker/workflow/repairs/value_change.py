"""The change of one value of a node."""

from __future__ import annotations

from dataclasses import dataclass

from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.json_value import Json


@dataclass(frozen=True, slots=True)
class ValueChange:
    """The value that was sent for an input, and the one that runs.

    If `seed_spec` is set, it is the input of a seed: a random one is drawn when the job runs, and `runs` is only a
    placeholder.
    """

    input: str
    sent: Json
    runs: Json
    code: str
    message: str
    seed_spec: InputSpec | None = None
