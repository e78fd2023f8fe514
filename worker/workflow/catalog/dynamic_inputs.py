"""Expands inputs that depend on the values of a node: dynamic combos and autogrow groups.

A dynamic combo `model` adds the inputs of the selected choice as `model.name`. An autogrow group `images` stands for
the inputs `images.image0`, `images.image1`, ... (ComfyUI 0.33.0).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from worker.workflow.catalog.node_class import (
    AUTOGROW,
    DYNAMIC_COMBO,
    InputSpec,
    NodeClass,
    Presence,
    read_input,
    sections,
)
from worker.workflow.json_value import Json, JsonObject


def expand(node_class: NodeClass, values: Mapping[str, Json]) -> Mapping[str, InputSpec]:
    """Return the inputs that a node has if its inputs hold `values`, by full name, without hidden inputs.

    A dynamic combo whose value is not one of its keys is omitted, together with the inputs that depend on it.
    """
    if not node_class.is_v3:
        return {name: spec for name, spec in node_class.by_name.items() if spec.presence is not Presence.HIDDEN}
    expanded: dict[str, InputSpec] = {}
    for spec in node_class.inputs:
        if spec.presence is not Presence.HIDDEN:
            expanded.update((inner.name, inner) for inner in _expand_input(spec, values))
    return expanded


def _expand_input(spec: InputSpec, values: Mapping[str, Json]) -> Iterator[InputSpec]:
    """Yield the inputs that a declared input stands for: itself, unless it is a dynamic combo or an autogrow group."""
    if spec.type == DYNAMIC_COMBO:
        yield from _expand_combo(spec, values)
    elif spec.type == AUTOGROW:
        yield from _expand_group(spec, values)
    else:
        yield spec


def _expand_combo(spec: InputSpec, values: Mapping[str, Json]) -> Iterator[InputSpec]:
    """Yield a dynamic combo and the inputs of its selected choice. Yield nothing if no choice is selected."""
    if spec.name not in values:
        return
    options = spec.config[1].get("options")
    for option in options if isinstance(options, list) else []:
        if isinstance(option, dict) and option.get("key") == values[spec.name]:
            for presence, section in sections(option.get("inputs")):
                for name, definition in section.items():
                    inner = read_input(f"{spec.name}.{name}", presence, definition)
                    if inner:
                        yield from _expand_input(inner, values)
            yield spec
            return


def _expand_group(spec: InputSpec, values: Mapping[str, Json]) -> Iterator[InputSpec]:
    """Yield the members of an autogrow group that are required or have a value."""
    template = spec.config[1].get("template")
    pattern = _repeated_input(template) if isinstance(template, dict) else None
    if not isinstance(template, dict) or not pattern:
        return
    presence, definition = pattern
    minimum = template.get("min")
    required_count = minimum if presence is Presence.REQUIRED and isinstance(minimum, int) else 0
    for index, name in enumerate(_member_names(template)):
        full_name = f"{spec.name}.{name}"
        is_required = index < required_count
        if is_required or full_name in values:  # other optional inputs of the group would only cost time
            inner = read_input(full_name, Presence.REQUIRED if is_required else Presence.OPTIONAL, definition)
            if inner:
                yield inner


def _repeated_input(template: JsonObject) -> tuple[Presence, Json] | None:
    """Return (presence, definition) of the input that each member of an autogrow group repeats, or None."""
    for presence, section in sections(template.get("input")):
        for definition in section.values():
            return presence, definition
    return None


def _member_names(template: JsonObject) -> list[str]:
    """Return all names that the members of an autogrow group can have: a list of names, or a prefix and a number."""
    names, prefix, maximum = template.get("names"), template.get("prefix"), template.get("max")
    if isinstance(names, list):
        return [name for name in names if isinstance(name, str)]
    return [f"{prefix}{index}" for index in range(maximum)] if isinstance(maximum, int) else []
