"""Applies all repairs to a prompt, in this order: editor nodes, class names, values."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from worker.prompt_changes import Repair, SeedField
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt, title
from worker.workflow.repairs.class_names import current_class
from worker.workflow.repairs.editor_nodes import without_editor_nodes
from worker.workflow.repairs.lora_entries import entry_changes
from worker.workflow.repairs.seeds import seed_of
from worker.workflow.repairs.value_change import ValueChange
from worker.workflow.repairs.values import RepairContext, value_changes


@dataclass(frozen=True, slots=True)
class RepairedPrompt:
    """The result of `repair`. If nothing was repaired, `prompt` is the same object as the argument.

    `seeds` are inputs that get a random seed when a job runs. Until then the prompt has their minimum.
    """

    prompt: Prompt
    repairs: tuple[Repair, ...] = ()
    seeds: tuple[SeedField, ...] = ()


def repair(
    prompt: Prompt, catalog: Catalog, *, own_files: Container[str] = (), keep_seeds: bool = False
) -> RepairedPrompt:
    """Return the repaired prompt with its repairs. Nodes of classes that are not in the catalog keep their values.

    `own_files` are the names of the request's files, which are never changed. With `keep_seeds` no seed is replaced.
    Only the values of nodes that an output needs are repaired, because ComfyUI ignores other nodes.
    """
    nodes, repairs = prompt, list[Repair]()
    if any(node["class_type"] not in catalog for node in prompt.values()):
        nodes, repairs = _with_known_classes(prompt, catalog)
    changed: Prompt = {}
    seeds: list[SeedField] = []
    context = RepairContext(nodes, own_files, keep_seeds)
    for node_id in _repairable_nodes(nodes, catalog):
        node = nodes[node_id]
        changes = [*value_changes(node, catalog, context), *entry_changes(node, catalog)]
        if changes:
            inputs = {**node["inputs"], **{change.input: change.runs for change in changes}}
            changed[node_id] = {**node, "inputs": inputs}
            repairs += [_repair_of(nodes, node_id, change) for change in changes]
            seeds += [seed_of(node_id, change.seed_spec) for change in changes if change.seed_spec is not None]
    if not repairs:
        return RepairedPrompt(prompt)
    return RepairedPrompt({**nodes, **changed}, tuple(repairs), tuple(seeds))


def _with_known_classes(prompt: Prompt, catalog: Catalog) -> tuple[Prompt, list[Repair]]:
    """Return (prompt without editor nodes and with current class names, repairs)."""
    nodes, repairs = without_editor_nodes(prompt, catalog)
    renamed: Prompt = {}
    for node_id, node in nodes.items():
        current = current_class(node, catalog)
        if current is not None:
            renamed[node_id] = current
            repairs.append(_renaming(nodes, node_id, current["class_type"]))
    return {**nodes, **renamed}, repairs


def _renaming(prompt: Prompt, node_id: str, class_type: str) -> Repair:
    """Return the repair that reports the new class of a node."""
    sent = prompt[node_id]["class_type"]
    message = f"This ComfyUI has no class {sent!r}. The node runs as {class_type!r}, its current name."
    return Repair(message, "class_renamed", node_id, title(prompt, node_id), None, sent, class_type)


def _repair_of(prompt: Prompt, node_id: str, change: ValueChange) -> Repair:
    """Return the repair that reports a changed value. A random seed is not drawn yet, so `runs` is None for it."""
    runs = None if change.seed_spec is not None else change.runs
    return Repair(change.message, change.code, node_id, title(prompt, node_id), change.input, change.sent, runs)


def _repairable_nodes(prompt: Prompt, catalog: Catalog) -> list[str]:
    """Return the ids of the nodes of known classes that some output needs, in the order of the prompt."""
    waiting = [
        node_id
        for node_id, node in prompt.items()
        if node["class_type"] in catalog and catalog[node["class_type"]].output_node
    ]
    needed = set(waiting)
    while waiting:
        for value in prompt[waiting.pop()]["inputs"].values():
            # Also follows links that are malformed, because they can be repaired.
            source = str(value[0]) if isinstance(value, list) and len(value) == 2 else ""
            if source in prompt and source not in needed:
                needed.add(source)
                waiting.append(source)
    return [node_id for node_id in prompt if node_id in needed and prompt[node_id]["class_type"] in catalog]
