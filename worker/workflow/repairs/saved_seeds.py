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
    """Return a copy of the editor's workflow with the drawn `seeds` in place of the saved ones.

    `fields` are the seed inputs of `prompt`, which still has the saved seeds. Only fields with a drawn seed change. A
    field inside a subgraph is not changed, because the workflow stores it once for all instances.
    """
    values = {(seed.node_id, seed.input): seed.value for seed in seeds}
    changes: dict[str, list[tuple[Json, int]]] = {}
    for field in fields:
        key = field.node_id, field.input
        if key in values:
            # `shared` begins with the id of the editor's node that holds the seed.
            owner = (field.shared or field.node_id).partition(" ")[0]
            changes.setdefault(owner, []).append((prompt[field.node_id]["inputs"][field.input], values[key]))
    nodes = workflow.get("nodes")
    if not changes or not isinstance(nodes, list):
        return workflow
    return {**workflow, "nodes": [_with_new_seeds(node, changes) for node in nodes]}


def _with_new_seeds(node: Any, changes: Mapping[str, list[tuple[Json, int]]]) -> Any:  # noqa: ANN401 - JSON
    """Return a node of the editor's workflow with its seeds replaced.

    `changes` has pairs (saved seed, new seed) by node id. Nodes without a change are returned unchanged.
    """
    values = node.get("widgets_values") if isinstance(node, dict) else None
    if not isinstance(values, list):
        return node
    node_changes = changes.get(str(node.get("id")), [])
    values = list(values)
    for saved, fresh in node_changes:
        index = _seed_index(values, saved)
        if index is not None:
            values[index] = fresh
    return {**node, "widgets_values": values}


def _seed_index(values: list[Json], saved: Json) -> int | None:
    """Return the index of a saved seed in `widgets_values`, or None if it is not certain which value is the seed.

    In most nodes, the value after a seed is that of its control ("randomize"): the first such value is the seed. A
    subgraph instance has no controls, so that the value of the seed must be unique there.
    """
    indexes = [index for index, value in enumerate(values) if value == saved and not isinstance(value, bool)]
    controlled = [index for index in indexes if values[index + 1 : index + 2] == [RANDOMIZE]]
    if controlled:
        return controlled[0]
    return indexes[0] if len(indexes) == 1 else None
