"""What several catalogs have in common: a workflow that is valid by it runs on every one of their engines."""

from __future__ import annotations

from collections.abc import Sequence

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.json_value import Json, JsonObject


def common_catalog(catalogs: Sequence[Catalog]) -> Catalog:
    """Return the classes that all have, each as the first has it, its choices reduced to those that all offer."""
    first, *others = catalogs
    changed: dict[str, JsonObject | None] = {}
    for name in first:
        infos = [catalog.object_info(name) for catalog in others if name in catalog]
        if len(infos) < len(others):
            changed[name] = None
            continue
        info = shared = first.object_info(name)
        for other in infos:
            shared = _shared(shared, other)
        if shared != info:
            changed[name] = shared
    return first.with_classes(changed)


def _shared(info: JsonObject, other: JsonObject) -> JsonObject:
    inputs, theirs = info.get("input"), other.get("input")
    if info == other or not isinstance(inputs, dict) or not isinstance(theirs, dict):
        return info
    both: JsonObject = {presence: _section(section, theirs.get(presence)) for presence, section in inputs.items()}
    return {**info, "input": both}


def _section(section: Json, other: Json) -> Json:
    if not isinstance(section, dict) or not isinstance(other, dict):
        return section
    return {name: _input(written, other.get(name)) for name, written in section.items()}


def _input(written: Json, other: Json) -> Json:
    """Reduce the choices of one input, in either of the two ways in which ComfyUI writes them."""
    match written, other:
        case [list(choices), *rest], [list(theirs), *_]:
            return [_both(choices, theirs), *rest]
        case [kind, dict(options), *rest], [_, dict(others), *_]:
            here, there = options.get("options"), others.get("options")
            if isinstance(here, list) and isinstance(there, list):
                return [kind, {**options, "options": _both(here, there)}, *rest]
    return written


def _both(choices: list[Json], theirs: list[Json]) -> list[Json]:
    return [choice for choice in choices if choice in theirs]
