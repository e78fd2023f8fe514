"""Finds the workflow in a JSON document: an exported file, or the body of a request in any dialect."""

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
"""Keys of the editor's file format that some tools write beside the nodes of an API-format file."""
WRAPPERS = ("workflow", "workflow_json", "prompt")
"""Fields of a request that can hold a workflow. The editor's workflow comes before the prompt."""
DEEPEST = 3
"""Maximum number of times that JSON may be encoded as a string inside JSON."""


def is_node(value: object) -> bool:
    """Return whether a value looks like a node of an API-format file."""
    return isinstance(value, Mapping) and "class_type" in value


def is_api_file(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether a value is a file of *Export (API)*: nodes by id, and not a request that contains a workflow."""
    if not isinstance(value, Mapping) or not any(map(is_node, value.values())):
        return False
    # A node may have the name of a request field as its id.
    return all(is_node(value[key]) for key in (*WRAPPERS, "template", "input") if key in value)


def api_nodes(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nodes of an API-format file, without the keys that some tools write beside them (`FILE_KEYS`)."""
    return {key: item for key, item in value.items() if key not in FILE_KEYS or is_node(item)}


def is_workflow_file(value: object) -> bool:
    """Return whether a value is a workflow in either format, without a wrapper."""
    return is_ui(value) or is_api_file(value)


def decoded_text(value: object, description: str) -> object:
    """Return the decoded value of a JSON text that may have been encoded several times, at most `DEEPEST` times.

    Return a value that is no text, or a text that is no JSON object or JSON string, unchanged. `description` names the
    text in the error message. Raises InvalidJson.
    """
    for _ in range(DEEPEST):
        if not (isinstance(value, str) and value.lstrip("\ufeff \t\r\n").startswith(("{", '"'))):
            break
        value = parse_json(utf8_text(value.encode()), description)
    return value


def exported_workflow(value: object) -> object:
    """Return the workflow in a decoded file: an export, or a request body in any of the formats that workers accept.

    The result may still be wrapped as `{"prompt": ..., "workflow": ...}`. `unwrap` removes this wrapper. Raises
    InvalidJson if the workflow is a string that is not valid JSON.
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
    return _workflow_of_request(value)


def _workflow_of_request(value: Mapping[str, Any]) -> object:
    """Return the workflow of a request, or the request itself with the workflows in its fields decoded.

    In the second case, `unwrap` finds the workflow. If a request has both the editor's workflow and the prompt, the
    result has both too: `{"prompt": ..., "workflow": ...}`.
    """
    decoded = {key: decoded_text(value[key], f"the text of {key!r}") for key in WRAPPERS if key in value}
    workflows = {key: api_nodes(item) if is_api_file(item) else item for key, item in decoded.items()}
    output = value.get("output")
    if is_api_file(output) and is_ui(workflows.get("workflow")):  # the result of the editor's `graphToPrompt`
        return {"prompt": api_nodes(output), "workflow": workflows["workflow"]}
    if "workflow_json" in workflows and not isinstance(workflows.get("prompt"), Mapping):
        return workflows["workflow_json"]
    modifications = value.get("modifications")  # a request of Vast's serverless workers may hold its workflow there
    if not workflows and isinstance(modifications, Mapping):
        return exported_workflow(modifications)
    return {**value, **workflows}


def request_files(value: object) -> dict[str, Any]:
    """Return the input files of a request by name, from `inputs` or from the `images` of worker-comfyui's format.

    The values are as the request has them (base64, a data URI or a URL). Return an empty dict if there are none.
    """
    if not isinstance(value, Mapping):
        return {}
    inside = value.get("payload" if "payload" in value else "input")
    if isinstance(inside, Mapping) and not is_node(inside):
        return request_files(inside)
    images, inputs = value.get("images"), value.get("inputs")
    files: dict[str, Any] = {}
    if isinstance(inputs, Mapping) and not is_workflow_file(value):  # in a workflow, `inputs` is the id of a node
        files |= inputs
    for image in images if isinstance(images, list) else ():
        if isinstance(image, Mapping) and isinstance(image.get("name"), str):
            files[image["name"]] = image.get("image")
    return files
