"""Suggests how to fix a validation error: the nearest name, the range, a slot that fits, or the missing node pack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.linking import fits
from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.catalog.provider import PackId, provider_of
from worker.workflow.nearest import did_you_mean, nearest
from worker.workflow.prompt import Prompt, is_link, title
from worker.workflow.validation.validation_error import ErrorSubject

BROKEN_LINK_KINDS = frozenset({"exception_during_validation", "exception_during_inner_validation"})
"""ComfyUI's error types for a broken link. The error names the node before it, not the input with the link."""


class BrokenInput(NamedTuple):
    """The input with a broken link, and one sentence that says how to fix it."""

    input: str
    suggestion: str


class _FittingOutput(NamedTuple):
    """An output slot whose type fits an input."""

    node_id: str
    slot: int
    name: str


def suggestion(subject: ErrorSubject) -> str | None:
    """Return one sentence that says how to fix an error, or None."""
    match subject.validation_error.kind:
        case "value_not_in_list" | "custom_validation_failed":
            return _nearest_choice(subject)
        case "value_smaller_than_min" | "value_bigger_than_max":
            return _range_suggestion(subject)
        case "required_input_missing":
            return _missing_input_suggestion(subject)
        case "return_type_mismatch":
            return _link_suggestion(subject, same_node_first=True)
        case kind if kind in BROKEN_LINK_KINDS:
            link = broken_link(subject)
            return link.suggestion if link else None
    return None


def missing_class_suggestion(class_type: str, catalog: Catalog | None, pack: PackId | None = None) -> str | None:
    """Return a sentence about the pack that has a class, or about the class with the nearest name, or None.

    `pack` is the pack that the editor saved in the workflow. The bundled catalog takes precedence.
    """
    provider = provider_of(class_type)
    if provider is not None:
        return provider.install_hint
    if pack is not None:
        return pack.install_hint
    return did_you_mean(class_type, catalog) if catalog is not None else None


def _nearest_choice(subject: ErrorSubject) -> str | None:
    """Return "Did you mean ...?" with the nearest choice, else a hint to send the file for a file input, else None."""
    spec, value = subject.reported_spec, subject.value
    if spec is None or not spec.options or not isinstance(value, str):
        return None
    question = did_you_mean(value, (option for option in spec.options if isinstance(option, str)))
    is_upload = subject.validation_error.kind == "custom_validation_failed"  # reported by loaders of files
    return question or ("Send the file with the request." if is_upload else None)


def _range_suggestion(subject: ErrorSubject) -> str | None:
    """Return a sentence with the valid range of a number, or None if the error has no limits."""
    match subject.validation_error.extra.get("input_config"):
        case [_, {"min": low, "max": high}]:
            return f"Use a value from {low} to {high}."
    return None


def _missing_input_suggestion(subject: ErrorSubject) -> str | None:
    """Return the suggestion for a missing input, or None if the catalog does not describe it.

    If the node has an unknown input with a similar name, that one is probably misspelled.
    """
    spec = subject.spec
    if spec is None:
        return None
    misspelled = nearest(spec.name, subject.unknown_inputs)
    if misspelled:
        return f"Rename the input {misspelled!r} if it is meant to be {spec.name!r}."
    if spec.default is not None:
        return f"The default is {spec.default!r}."
    return _link_suggestion(subject) or f"Link an output of type {spec.type}."


def _link_suggestion(subject: ErrorSubject, *, same_node_first: bool = False) -> str | None:
    """Return a suggestion to link an output that fits the input, or None for an input that every output fits.

    With `same_node_first`, an output of the node that is linked now is preferred.
    """
    spec = subject.spec
    if spec is None or spec.type == "*":
        return None
    linked = subject.validation_error.extra.get("linked_node")
    first = str(linked[0]) if same_node_first and isinstance(linked, list) and linked else ""
    outputs = list(_fitting_outputs(subject, spec))
    if not outputs:
        return f"Link an output of type {spec.type}."
    best = next((output for output in outputs if output.node_id == first), outputs[0])
    node_title = title(subject.prompt, best.node_id)
    return f"Link slot {best.slot} ({best.name}) of node {best.node_id} ({node_title}). Its type fits."


def _fitting_outputs(subject: ErrorSubject, spec: InputSpec) -> Iterator[_FittingOutput]:
    """Yield the outputs of other nodes whose type fits the input.

    Omits nodes that depend on this one, and outputs of type `*`, because they fit every input.
    """
    catalog, target = subject.catalog, subject.prompt.get(subject.node_id)
    if catalog is None or target is None:
        return
    dependents = _dependents(subject.prompt, subject.node_id)
    for node_id, node in subject.prompt.items():
        if node_id in dependents or node["class_type"] not in catalog:
            continue
        source = catalog[node["class_type"]]
        for slot, output in enumerate(source.outputs):
            if output.type != "*" and fits(source.name, output.type, target["class_type"], spec):
                yield _FittingOutput(node_id, slot, output.name)


def _dependents(prompt: Prompt, node_id: str) -> set[str]:
    """Return the ids of the node and of all nodes that depend on it. A link from one of them would create a cycle."""
    users: dict[str, list[str]] = {}
    for user, node in prompt.items():
        for value in node["inputs"].values():
            if is_link(value) and isinstance(value, list):
                users.setdefault(str(value[0]), []).append(user)
    dependents, waiting = {node_id}, [node_id]
    while waiting:
        new_ids = set(users.get(waiting.pop(), ())) - dependents
        dependents |= new_ids
        waiting.extend(new_ids)
    return dependents


def broken_link(subject: ErrorSubject) -> BrokenInput | None:
    """Return the first link to a missing node or slot among the inputs of the node of an error, or None."""
    node = subject.prompt.get(subject.node_id)
    for name, value in node["inputs"].items() if node else ():
        match value:
            case [str(source) | int(source), _] if source not in subject.prompt:  # keys of a prompt are strings
                if str(source) in subject.prompt:
                    hint = f"Write the node id in the link of {name!r} as a string: {str(source)!r}."
                else:
                    hint = f"Link {name!r} to an existing node. There is no node {source!r}."
                return BrokenInput(name, hint)
            case [str(source), int(slot)]:
                count = _slot_count(subject, source)
                if count is not None and slot >= count:
                    slots = "1 slot" if count == 1 else f"{count} slots"
                    hint = f"Link {name!r} to an existing slot. Node {source} has {slots}, counted from 0."
                    return BrokenInput(name, hint)
    return None


def _slot_count(subject: ErrorSubject, node_id: str) -> int | None:
    """Return the number of output slots of a node, or None if its class is not known."""
    class_type = subject.prompt[node_id]["class_type"]
    if subject.catalog is None or class_type not in subject.catalog:
        return None
    return len(subject.catalog[class_type].outputs)
