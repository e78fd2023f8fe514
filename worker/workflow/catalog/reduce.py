"""Builds the catalog that ships with the worker from recorded responses of `GET /object_info`.

    python -m worker.workflow.catalog.reduce worker/workflow/catalog/data comfyui_nodes.txt OBJECT_INFO.json ...

The responses must come from the commits that comfyui_nodes.txt pins. These commits are written beside the catalog,
together with its hash, and a test fails if the pins change without the catalog. Classes of other packs are omitted.

The catalog contains names, types, choices, limits, defaults and flags. It omits descriptions, tooltips, search words,
long default texts, options that only the editor uses, and the files of the recorded machine. Each class is one line
with its name, a tab and its JSON. The lines are sorted, so that one class can be parsed alone and two catalogs can be
compared with `zcat`. Gzip shrinks the file to a tenth, because many classes have the same choices.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from worker.workflow.catalog.catalog import BUNDLED, MADE_FROM, Catalog
from worker.workflow.catalog.folders import folders_of
from worker.workflow.catalog.node_class import AUTOGROW, DYNAMIC_COMBO, read_node_class, sections
from worker.workflow.catalog.provider import COMFYUI, Provider
from worker.workflow.json_value import Json, JsonObject

LONGEST_DEFAULT = 60  # longer defaults are example prompts and scripts

_CLASS_KEYS = (
    *("display_name", "category", "python_module", "input", "output", "output_name", "output_is_list"),
    *("output_node", "is_input_list", "has_intermediate_output", "output_matchtypes"),
    *("api_node", "deprecated", "experimental", "dev_only"),
)
_PIN = re.compile(r"^(\S+)\s+\S+@([0-9a-f]{40})\b", re.MULTILINE)
_EDITOR_KEYS = {"tooltip", "placeholder", "advanced", "display", "label_on", "label_off"}


def reduce_object_info(object_info: Mapping[str, JsonObject]) -> bytes:
    """Return the packed catalog of these classes. The same input gives the same bytes."""
    lines = []
    for name in sorted(object_info):
        text = json.dumps(_reduce_class(name, object_info[name]), separators=(",", ":"), ensure_ascii=False)
        lines.append(f"{name}\t{text}\n")
    return gzip.compress("".join(lines).encode(), mtime=0)


def reduced(catalog: Catalog) -> Catalog:
    """Return the catalog without the files of its machine and without descriptive texts."""
    return Catalog.from_packed(reduce_object_info(catalog.to_object_info()))


def _reduce_class(name: str, info: JsonObject) -> JsonObject:
    """Return a class with the fields in `_CLASS_KEYS` that are not empty, and with reduced inputs.

    `api_node` is kept even if it is False, because it marks a class of the V3 API.
    """
    kept = {key: info[key] for key in _CLASS_KEYS if info.get(key) or (key == "api_node" and key in info)}
    kept["input"] = _reduce_inputs(_in_order(name, info), name)
    return kept


def _in_order(name: str, info: JsonObject) -> JsonObject:
    """Return the inputs of a class by section, in their declared order, so that the catalog needs no `input_order`."""
    definition = dict(sections(info.get("input")))
    specs = read_node_class(name, info).inputs
    return {
        presence.value: {spec.name: section[spec.name] for spec in specs if spec.presence is presence}
        for presence, section in definition.items()
    }


def _reduce_inputs(inputs: Json, class_name: str) -> JsonObject:
    """Return the inputs of a class, reduced.

    `class_name` is empty for inputs inside a dynamic input, which never list files.
    """
    reduced: JsonObject = {}
    for presence, section in sections(inputs):
        reduced[presence.value] = {
            name: _reduce_input(definition, folders_of(class_name, name)) for name, definition in section.items()
        }
    return reduced


def _reduce_input(definition: Json, folders: tuple[str, ...]) -> Json:
    """Return one input, reduced. `folders` are the model folders whose files it lists.

    `GET /object_info` has two forms of an input: `[choices, options]` and `[type, options]`.
    """
    match definition:
        case [list(choices), *configs]:
            return [
                _without_files(choices, folders),
                *(_reduce_options("COMBO", config, folders) for config in configs),
            ]
        case [str(kind), config]:
            return [kind, _reduce_options(kind, config, folders)]
    return definition


def _reduce_options(kind: str, config: Json, folders: tuple[str, ...]) -> Json:
    """Return the options of one input, reduced: the second part of its entry in `GET /object_info`."""
    if not isinstance(config, dict):
        return config
    kept = {key: value for key, value in config.items() if key not in _EDITOR_KEYS}
    default, options, template = kept.get("default"), kept.get("options"), kept.get("template")
    if isinstance(default, str) and len(default) > LONGEST_DEFAULT:
        kept["default"] = ""
    if kind == DYNAMIC_COMBO and isinstance(options, list):
        kept["options"] = [_with_reduced_inputs(option, "inputs") for option in options]
    elif isinstance(options, list):
        kept["options"] = _without_files(options, folders)
    if "formats" in kept:
        kept["formats"] = _reduce_formats(kept["formats"])
    if kind == AUTOGROW:
        kept["template"] = _with_reduced_inputs(template, "input")
    return kept


def _reduce_formats(formats: Json) -> Json:
    """Return the video formats of VideoHelperSuite with only the name, the type and the options of each field."""
    if not isinstance(formats, dict):
        return formats
    return {
        name: [row[:3] if isinstance(row, list) else row for row in rows] if isinstance(rows, list) else rows
        for name, rows in formats.items()
    }


def _with_reduced_inputs(holder: Json, key: str) -> Json:
    """Return an option of a dynamic combo, or the template of a group, with the inputs in its field `key` reduced."""
    if not isinstance(holder, dict):
        return holder
    return {**holder, key: _reduce_inputs(holder[key], "")}


def _without_files(choices: list[Json], folders: tuple[str, ...]) -> list[Json]:
    """Return the choices of an input that are no files. `folders` are the model folders whose files it lists.

    In an input that lists files, each choice with an extension is a file. A choice such as `.use_ckpt_vae` has none. In
    an input that lists uploads, every choice except "none" is a file.
    """
    if "input" in folders:
        return [choice for choice in choices if choice == "none"]
    if not folders:
        return choices
    return [choice for choice in choices if not (isinstance(choice, str) and "." in choice[1:])]


def bundle(pins: str, object_info: Mapping[str, JsonObject]) -> tuple[bytes, JsonObject]:
    """Return (packed catalog of the pinned packs, content of `made-from.json` with the commits and the hash).

    `pins` is the text of comfyui_nodes.txt.
    """
    commits: JsonObject = dict(_PIN.findall(pins))
    pinned = {name: info for name, info in object_info.items() if _pack_name(info) in commits}
    packed = reduce_object_info(pinned)
    return packed, {"commits": commits, "sha256": hashlib.sha256(gzip.decompress(packed)).hexdigest()}


def _pack_name(info: JsonObject) -> str:
    """Return the name that comfyui_nodes.txt has for the pack of a class."""
    name = Provider.of_module(str(info.get("python_module"))).name
    return "ComfyUI" if name == COMFYUI else name


def main(folder: str, pins: str, *sources: str) -> None:
    """Merge the catalogs in `sources`, and write the reduced catalog and `made-from.json` into `folder`."""
    merged: dict[str, JsonObject] = {}
    for source in sources:
        merged.update(json.loads(Path(source).read_bytes()))
    packed, made_from = bundle(Path(pins).read_text("utf-8"), merged)
    (Path(folder) / BUNDLED).write_bytes(packed)
    (Path(folder) / MADE_FROM).write_text(json.dumps(made_from, indent=2) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
