"""The objects in which workflows travel: files as tools write them, and the bodies of requests that hold one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from worker.bodies import parse_json, utf8_text
from worker.workflow.prompt import is_ui

FILE_KEYS = frozenset(
    {
        *("id", "revision", "version", "extra", "config", "_meta", "definitions", "models", "groups", "reroutes"),
        *("last_node_id", "last_link_id", "floatingLinks", "links", "nodes", "state", "seed_widgets", "name"),
        *("widget_idx_map", "description", "title", "author", "created", "client_id"),
    }
)
"""Keys of the editor's file that some tools leave, or write, beside the nodes of an API file."""
WRAPPERS = ("workflow", "workflow_json", "prompt")
"""Fields of a request that hold a workflow, the editor's beside its prompt first."""
DEEPEST = 3
"""How often JSON is written as a text inside JSON before nobody can have meant it."""


def is_node(value: object) -> bool:
    """Whether a value looks like a node of an API file."""
    return isinstance(value, Mapping) and "class_type" in value


def is_api_file(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether an object is what *Export (API)* writes: nodes, and nothing that a request has beside its workflow."""
    if not isinstance(value, Mapping) or not any(map(is_node, value.values())):
        return False
    return all(is_node(value[key]) for key in (*WRAPPERS, "template", "input") if key in value)


def api_nodes(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nodes of an API file without the keys of the editor's file that are none."""
    return {key: item for key, item in value.items() if key not in FILE_KEYS or is_node(item)}


def is_workflow_file(value: object) -> bool:
    """Whether a value is a workflow by itself, in either format."""
    return is_ui(value) or is_api_file(value)


def decoded_text(value: object, what: str) -> object:
    """Return the JSON in a text, also where it is a text in a text; anything else as it is. Raises InvalidJson."""
    for _ in range(DEEPEST):
        if not (isinstance(value, str) and value.lstrip("\ufeff \t\r\n").startswith(("{", '"'))):
            break
        value = parse_json(utf8_text(value.encode()), what)
    return value


def exported_workflow(value: object) -> object:
    """Return the workflow in a file of any kind: an export, or the body of a request in any dialect.

    The result may still be wrapped as `{"prompt": ..., "workflow": ...}`, which `unwrap` takes off. Raises InvalidJson
    for a workflow that is a text but no JSON.
    """
    value = decoded_text(value, "the text in the file")
    if not isinstance(value, Mapping) or is_ui(value):
        return value
    if is_api_file(value):
        return api_nodes(value)
    for key in ("payload", "input"):
        inside = decoded_text(value.get(key), f"the text of {key!r}")
        if isinstance(inside, Mapping) and not is_node(inside):
            return exported_workflow(inside)
    return _unwrapped(value)


def _unwrapped(value: Mapping[str, Any]) -> object:
    found = {key: decoded_text(value[key], f"the text of {key!r}") for key in WRAPPERS if key in value}
    found = {key: api_nodes(item) if is_api_file(item) else item for key, item in found.items()}
    output = value.get("output")
    if is_api_file(output) and is_ui(found.get("workflow")):  # as the editor's `graphToPrompt` returns it
        return {"prompt": api_nodes(output), "workflow": found["workflow"]}
    if "workflow_json" in found and not isinstance(found.get("prompt"), Mapping):
        return found["workflow_json"]
    modifications = value.get("modifications")
    if not found and isinstance(modifications, Mapping):
        return exported_workflow(modifications)
    return {**value, **found}


def request_files(value: object) -> dict[str, Any]:
    """Return the files of a request by name: `inputs`, or `images` as worker-comfyui has them."""
    if not isinstance(value, Mapping):
        return {}
    inside = value.get("payload", value.get("input", value))
    if isinstance(inside, Mapping) and inside is not value and not is_node(inside):
        return request_files(inside)
    images, inputs = value.get("images"), value.get("inputs")
    found = dict(inputs) if isinstance(inputs, Mapping) and not is_workflow_file(value) else {}
    for image in images if isinstance(images, list) else ():
        if isinstance(image, Mapping) and isinstance(image.get("name"), str):
            found[image["name"]] = image.get("image")
    return found
