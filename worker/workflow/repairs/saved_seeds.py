"""Writes the seeds that ran into the workflow that the editor saved.

Save nodes embed this workflow in images, so that opening an image in the editor restores its seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from worker.prompt_changes import RandomInteger, SeedField
from worker.workflow.json_value import Json
from worker.workflow.prompt import Prompt

RANDOMIZE = "randomize"


def with_seeds(
    workflow: Mapping[str, Any], prompt: Prompt, fields: Iterable[SeedField], seeds: Iterable[RandomInteger]
) -> Mapping[str, Any]:
    """Return a copy of the workflow with the drawn seeds in these fields. `prompt` has the seeds that were saved.

    A field inside a subgraph is not changed, because the workflow stores it once for all instances.
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
    """Return a node of the editor with its seeds replaced: pairs (saved seed, new seed) by node id."""
    values = node.get("widgets_values") if isinstance(node, dict) else None
    if not isinstance(values, list) or (node_changes := changes.get(str(node.get("id")))) is None:
        return node
    values = list(values)
    for saved, fresh in node_changes:
        index = _index(values, saved)
        if index is not None:
            values[index] = fresh
    return {**node, "widgets_values": values}


def _index(values: list[Json], saved: Json) -> int | None:
    """Return the index of a seed in `widgets_values`, or None if it is ambiguous.

    A seed comes before the value of its control ("randomize"). A subgraph instance has no controls: there the value
    must be unique.
    """
    indexes = [index for index, value in enumerate(values) if value == saved and not isinstance(value, bool)]
    controlled = [index for index in indexes if values[index + 1 : index + 2] == [RANDOMIZE]]
    candidates = controlled or indexes
    return candidates[0] if len(candidates) == 1 or controlled else None
