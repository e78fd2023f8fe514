"""Computes the common part of several catalogs. A workflow that is valid in it runs on each of their engines."""

from __future__ import annotations

from collections.abc import Sequence

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.json_value import Json, JsonObject


def common_catalog(catalogs: Sequence[Catalog]) -> Catalog:
    """Return the classes that all catalogs have, with the choices that all of them offer.

    Everything else about a class comes from the first catalog.
    """
    first, *others = catalogs
    changed: dict[str, JsonObject | None] = {}
    for name in first:
        infos = [catalog.object_info(name) for catalog in others if name in catalog]
        if len(infos) < len(others):
            changed[name] = None  # a catalog lacks the class, so that it is removed
            continue
        info = shared = first.object_info(name)
        for other in infos:
            shared = _with_common_choices(shared, other)
        if shared != info:
            changed[name] = shared
    return first.with_classes(changed)


def _with_common_choices(info: JsonObject, other: JsonObject) -> JsonObject:
    """Return the class `info` with its choices reduced to those that its version `other` offers too."""
    inputs, other_inputs = info.get("input"), other.get("input")
    if info == other or not isinstance(inputs, dict) or not isinstance(other_inputs, dict):
        return info
    shared: JsonObject = {
        presence: _section_with_common_choices(section, other_inputs.get(presence))
        for presence, section in inputs.items()
    }
    return {**info, "input": shared}


def _section_with_common_choices(section: Json, other: Json) -> Json:
    """Return a section of inputs with the choices of each input reduced to those in `other` too."""
    if not isinstance(section, dict) or not isinstance(other, dict):
        return section
    return {name: _input_with_common_choices(definition, other.get(name)) for name, definition in section.items()}


def _input_with_common_choices(definition: Json, other: Json) -> Json:
    """Return an input with its choices reduced to those in `other` too.

    ComfyUI writes choices in two forms: `[choices, options]` and `["COMBO", {"options": choices}]`.
    """
    match definition, other:
        case [list(choices), *fields], [list(other_choices), *_]:
            return [_intersection(choices, other_choices), *fields]
        case [kind, dict(config), *fields], [_, dict(other_config), *_]:
            options, other_options = config.get("options"), other_config.get("options")
            if isinstance(options, list) and isinstance(other_options, list):
                return [kind, {**config, "options": _intersection(options, other_options)}, *fields]
    return definition


def _intersection(choices: list[Json], other_choices: list[Json]) -> list[Json]:
    """Return the choices that both lists have, in the order of the first."""
    return [choice for choice in choices if choice in other_choices]
