"""What would probably mend a complaint: the nearest name, the range, the slot that fits, the pack that is missing."""

from __future__ import annotations

from collections.abc import Iterator

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.linking import fits
from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.catalog.provider import PackId, provider_of
from worker.workflow.nearest import did_you_mean, nearest
from worker.workflow.prompt import Prompt, is_link, title
from worker.workflow.validation.validation_error import ErrorSubject

BROKEN_LINK_KINDS = frozenset({"exception_during_validation", "exception_during_inner_validation"})
"""What ComfyUI says of a link to nowhere. The input that it names is the one of the node that stands behind."""


def suggestion(subject: ErrorSubject) -> str | None:
    """One sentence, or None where nothing better than the complaint itself is known."""
    match subject.validation_error.kind:
        case "value_not_in_list" | "custom_validation_failed":
            return _nearest_choice(subject)
        case "value_smaller_than_min" | "value_bigger_than_max":
            return _range(subject)
        case "required_input_missing":
            return _missing(subject)
        case "return_type_mismatch":
            return _fitting(subject, same_node_first=True)
        case kind if kind in BROKEN_LINK_KINDS:
            found = broken_link(subject)
            return found[1] if found else None
    return None


def missing_class_suggestion(class_type: str, catalog: Catalog | None, pack: PackId | None = None) -> str | None:
    """The pack that has the class, by the bundled catalog or by the workflow's file, else the name that was meant."""
    provider = provider_of(class_type)
    if provider is not None:
        return provider.install_hint
    if pack is not None:
        return pack.install_hint
    return did_you_mean(class_type, catalog) if catalog is not None else None


def _nearest_choice(subject: ErrorSubject) -> str | None:
    spec, value = subject.reported_spec, subject.value
    if spec is None or not spec.options or not isinstance(value, str):
        return None
    near = did_you_mean(value, (option for option in spec.options if isinstance(option, str)))
    uploads = subject.validation_error.kind == "custom_validation_failed"
    return near or ("Send the file with the request." if uploads else None)


def _range(subject: ErrorSubject) -> str | None:
    match subject.validation_error.extra.get("input_config"):
        case [_, {"min": low, "max": high}]:
            return f"Use a value from {low} to {high}."
    return None


def _missing(subject: ErrorSubject) -> str | None:
    """A name that the class does not know is probably the missing one, misspelt."""
    spec = subject.spec
    if spec is None:
        return None
    if misspelt := nearest(spec.name, subject.unknown_inputs):
        return f"Is {misspelt!r} meant to be it?"
    if spec.default is not None:
        return f"Its default is {spec.default!r}."
    return _fitting(subject) or f"Link an output of type {spec.type}."


def _fitting(subject: ErrorSubject, *, same_node_first: bool = False) -> str | None:
    """An output of the prompt that may be linked here: of the node that is linked now, else of any other."""
    spec = subject.spec
    if spec is None or spec.type == "*":
        return None
    linked = subject.validation_error.extra.get("linked_node")
    first = str(linked[0]) if same_node_first and isinstance(linked, list) and linked else ""
    places = list(_outputs(subject, spec))
    best = next((place for place in places if place[0] == first), places[0] if places else None)
    if best is None:
        return f"Link an output of type {spec.type}."
    node_id, slot, name = best
    return f"Link slot {slot} ({name}) of node {node_id} ({title(subject.prompt, node_id)}): it would fit."


def _outputs(subject: ErrorSubject, spec: InputSpec) -> Iterator[tuple[str, int, str]]:
    """(node id, slot, its name) of what fits, of nodes that don't need this one; `*` fits all and says nothing."""
    catalog, target = subject.catalog, subject.prompt.get(subject.node_id)
    if catalog is None or target is None:
        return
    after = _followers(subject.prompt, subject.node_id)
    for node_id, node in subject.prompt.items():
        if node_id in after or node["class_type"] not in catalog:
            continue
        source = catalog[node["class_type"]]
        for slot, output in enumerate(source.outputs):
            if output.type != "*" and fits(source.name, output.type, target["class_type"], spec):
                yield node_id, slot, output.name


def _followers(prompt: Prompt, node_id: str) -> set[str]:
    """The node and all that need it: a link from one of them would be a cycle."""
    users: dict[str, list[str]] = {}
    for user, node in prompt.items():
        for value in node["inputs"].values():
            if is_link(value) and isinstance(value, list):
                users.setdefault(str(value[0]), []).append(user)
    found, waiting = {node_id}, [node_id]
    while waiting:
        fresh = set(users.get(waiting.pop(), ())) - found
        found |= fresh
        waiting.extend(fresh)
    return found


def broken_link(subject: ErrorSubject) -> tuple[str, str] | None:
    """The first input that is linked to a node or a slot that isn't there, and what to link it to."""
    node = subject.prompt.get(subject.node_id)
    for name, value in node["inputs"].items() if node else ():
        match value:
            case [str(source) | int(source), _] if source not in subject.prompt:
                if str(source) in subject.prompt:
                    return name, f"Write the node id in the link of {name!r} as text: {str(source)!r}."
                return name, f"Link {name!r} to a node that is there: {source!r} is not."
            case [str(source), int(slot)] if (count := _slots(subject, source)) is not None and slot >= count:
                return name, f"Link {name!r} to a slot that is there: node {source} has {count}, counted from 0."
    return None


def _slots(subject: ErrorSubject, node_id: str) -> int | None:
    class_type = subject.prompt[node_id]["class_type"]
    known = subject.catalog is not None and class_type in subject.catalog
    return len(subject.catalog[class_type].outputs) if subject.catalog is not None and known else None
