"""The editor's file with the seeds that ran: savers write it into pictures, and whoever opens one there runs these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from worker.job import RandomInteger
from worker.prompt_changes import SeedField
from worker.workflow.json_value import Json
from worker.workflow.prompt import Prompt

RANDOMIZE = "randomize"


def with_seeds(
    workflow: Mapping[str, Any], prompt: Prompt, fields: Iterable[SeedField], seeds: Iterable[RandomInteger]
) -> Mapping[str, Any]:
    """Return a copy in which the fields have their fresh seeds; `prompt` has the saved ones.

    A field inside a subgraph stays: its file has it once for all instances.
    """
    values = {(seed.node_id, seed.input): seed.value for seed in seeds}
    changes: dict[str, list[tuple[Json, int]]] = {}
    for field in fields:
        key = field.node_id, field.input
        if key in values:
            owner = (field.shared or field.node_id).partition(" ")[0]
            changes.setdefault(owner, []).append((prompt[field.node_id]["inputs"][field.input], values[key]))
    nodes = workflow.get("nodes")
    if not changes or not isinstance(nodes, list):
        return workflow
    return {**workflow, "nodes": [_changed(node, changes) for node in nodes]}


def _changed(node: Any, changes: Mapping[str, list[tuple[Json, int]]]) -> Any:  # noqa: ANN401 - JSON
    values = node.get("widgets_values") if isinstance(node, dict) else None
    if not isinstance(values, list) or (wanted := changes.get(str(node.get("id")))) is None:
        return node
    values = list(values)
    for saved, fresh in wanted:
        place = _place(values, saved)
        if place is not None:
            values[place] = fresh
    return {**node, "widgets_values": values}


def _place(values: list[Json], saved: Json) -> int | None:
    """Where a seed is: before its control, or where an instance of a subgraph has this value and no second time."""
    places = [place for place, value in enumerate(values) if value == saved and not isinstance(value, bool)]
    controlled = [place for place in places if values[place + 1 : place + 2] == [RANDOMIZE]]
    found = controlled or places
    return found[0] if len(found) == 1 or controlled else None
