"""Inputs that depend on what a prompt gives: dynamic combos and autogrow groups, written out as plain inputs.

A dynamic combo `model` that is set to one of its keys adds the inputs of that choice as `model.name`; an autogrow group
`images` stands for `images.image0`, `images.image1`, ... (ComfyUI 0.33.0).
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


def expand(node_class: NodeClass, given: Mapping[str, Json]) -> Mapping[str, InputSpec]:
    """Return the inputs that count for a node with these values, by full name, without hidden ones.

    A dynamic combo whose value is not one of its keys vanishes, together with what depends on it.
    """
    if not node_class.is_v3:
        return {name: spec for name, spec in node_class.by_name.items() if spec.presence is not Presence.HIDDEN}
    expanded: dict[str, InputSpec] = {}
    for spec in node_class.inputs:
        if spec.presence is not Presence.HIDDEN:
            expanded.update((one.name, one) for one in _expand(spec, given))
    return expanded


def _expand(spec: InputSpec, given: Mapping[str, Json]) -> Iterator[InputSpec]:
    if spec.type == DYNAMIC_COMBO:
        yield from _expand_combo(spec, given)
    elif spec.type == AUTOGROW:
        yield from _expand_group(spec, given)
    else:
        yield spec


def _expand_combo(spec: InputSpec, given: Mapping[str, Json]) -> Iterator[InputSpec]:
    if spec.name not in given:
        return
    options = spec.config[1].get("options")
    for option in options if isinstance(options, list) else []:
        if isinstance(option, dict) and option.get("key") == given[spec.name]:
            for presence, section in sections(option.get("inputs")):
                for name, written in section.items():
                    inner = read_input(f"{spec.name}.{name}", presence, written)
                    if inner:
                        yield from _expand(inner, given)
            yield spec
            return


def _expand_group(spec: InputSpec, given: Mapping[str, Json]) -> Iterator[InputSpec]:
    template = spec.config[1].get("template")
    pattern = _template_input(template) if isinstance(template, dict) else None
    if not isinstance(template, dict) or not pattern:
        return
    presence, written = pattern
    least = template.get("min")
    needed = least if presence is Presence.REQUIRED and isinstance(least, int) else 0
    for index, name in enumerate(_names(template)):
        full_name = f"{spec.name}.{name}"
        if index < needed or full_name in given:  # the many others that could be there cost time and change nothing
            one = read_input(full_name, Presence.REQUIRED if index < needed else Presence.OPTIONAL, written)
            if one:
                yield one


def _template_input(template: JsonObject) -> tuple[Presence, Json] | None:
    for presence, section in sections(template.get("input")):
        for written in section.values():
            return presence, written
    return None


def _names(template: JsonObject) -> list[str]:
    names, prefix, most = template.get("names"), template.get("prefix"), template.get("max")
    if isinstance(names, list):
        return [name for name in names if isinstance(name, str)]
    return [f"{prefix}{index}" for index in range(most)] if isinstance(most, int) else []
