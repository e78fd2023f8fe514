"""The API-format prompt, which is the graph that ComfyUI runs: its types, and functions to read and walk it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NotRequired, TypedDict

from worker.errors import PromptError, UiFormatError
from worker.prompt_changes import RandomInteger
from worker.workflow.json_value import Json, JsonObject

RANDOM_INTEGER = "__RANDOM_INT__"
RANDOM_INTEGER_MAX = 2**32 - 1  # the largest number that Vast's stock template draws; the smallest is 0


class Node(TypedDict):
    """One node of a prompt. `inputs` maps the name of an input to a value or to a link `[node id, output slot]`."""

    class_type: str
    inputs: dict[str, Json]
    _meta: NotRequired[JsonObject]


Prompt = dict[str, Node]


def is_ui(workflow: object) -> bool:
    """Return whether a value is a workflow as the editor saves it: an object with a list of nodes and links."""
    return isinstance(workflow, dict) and isinstance(workflow.get("nodes"), list) and "links" in workflow


def unwrap(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the workflow inside `{"prompt": {...}}` or `{"workflow": {...}}`, or the value if it has no wrapper."""
    if isinstance(value, dict) and not isinstance(value.get("nodes"), list):
        for key in ("prompt", "workflow"):
            inside = value.get(key)
            is_node = isinstance(inside, dict) and "class_type" in inside  # a node with the id "prompt" or "workflow"
            if isinstance(inside, dict) and not is_node:
                return inside
    return value


def editor_workflow(value: Any) -> dict[str, Any] | None:  # noqa: ANN401 - JSON
    """Return the workflow in the editor's format that a value is or contains, or None.

    The value may be such a workflow, `{"workflow": ...}`, or `{"prompt": ..., "workflow": ...}`.
    """
    inside = unwrap(value)
    if isinstance(value, dict) and inside is value.get("prompt") and is_ui(value.get("workflow")):
        inside = value["workflow"]
    return inside if is_ui(inside) else None


def parse_prompt(value: object) -> Prompt:
    """Check that a decoded JSON value is an API-format prompt and return its nodes by id.

    Unwraps `{"prompt": {...}}` and `{"workflow": {...}}`. Only checks the types of the fields. Links to missing nodes
    and unknown classes are not errors here. Raises `UiFormatError` if the value is a workflow as the editor saves it,
    and `PromptError` if it is not a prompt.
    """
    value = unwrap(value)
    if not isinstance(value, dict):
        raise PromptError("The workflow is not a JSON object.")
    if isinstance(value.get("nodes"), list) and isinstance(value.get("links"), list):
        raise UiFormatError(
            "The workflow is in the format that the editor saves.", suggestion="Convert it, or export it in API format."
        )
    if not value:
        raise PromptError("The workflow has no nodes.")
    return {str(node_id): _parse_node(str(node_id), node) for node_id, node in value.items()}


def _parse_node(node_id: str, node: object) -> Node:
    """Return one node of a prompt. Raises PromptError if it is malformed."""
    if not isinstance(node, dict):
        raise PromptError(f"Node {node_id} is not an object.", node_id)
    class_type, inputs, meta = node.get("class_type"), node.get("inputs"), node.get("_meta")
    if not isinstance(class_type, str):
        raise PromptError(f"Node {node_id} has no class_type.", node_id)
    if not isinstance(inputs, dict):
        raise PromptError(f"The inputs of node {node_id} are not an object.", node_id)
    parsed: Node = {"class_type": class_type, "inputs": inputs}
    if isinstance(meta, dict):
        parsed["_meta"] = meta
    return parsed


def is_link(value: Json) -> bool:
    """Return whether a value is a link `[node id, output slot]`."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int)


def links(node: Node) -> Iterator[tuple[str, str, int]]:
    """Yield (input, source node id, source slot) for each linked input."""
    for name, value in node["inputs"].items():
        if isinstance(value, list) and len(value) == 2:
            source, slot = value
            if isinstance(source, str) and isinstance(slot, int):
                yield name, source, slot


def title(prompt: Prompt, node_id: str) -> str:
    """Return the title of a node: its `_meta.title`, else its class. Return the id if the node does not exist."""
    node = prompt.get(node_id)
    if node is None:
        return node_id
    node_title = node.get("_meta", {}).get("title")
    return node_title if isinstance(node_title, str) and node_title else node["class_type"]


def ancestors(prompt: Prompt, *node_ids: str) -> frozenset[str]:
    """Return the ids of all nodes that these nodes depend on.

    The result only contains one of `node_ids` if another of them depends on it.
    """
    ancestor_ids: set[str] = set()
    waiting = [*node_ids]
    while waiting:
        node = prompt.get(waiting.pop())
        sources = {source for _, source, _ in links(node)} if node else set()
        new_ids = {source for source in sources if source in prompt} - ancestor_ids
        ancestor_ids |= new_ids
        waiting.extend(new_ids)
    return frozenset(ancestor_ids)


def draw_random_integers(prompt: Prompt, rng: Random, drawn: list[RandomInteger] | None = None) -> Prompt:
    """Return a copy in which each `__RANDOM_INT__` inside an input is replaced by a random integer.

    The integers are from 0 to 2**32 - 1, so that JavaScript clients read them exactly. Each one is also appended to the
    list `drawn`. As in Vast's stock template, a value that equals the placeholder becomes a number, and a text that
    contains it (such as a file name prefix) stays a text.
    """
    filled: Prompt = {}
    record = drawn if drawn is not None else []
    for node_id, node in prompt.items():

        def draw(path: str, node_id: str = node_id) -> int:  # a default value binds the node of this iteration
            """Return a random integer and append it to the record, with the node and the path of its value."""
            number = rng.randint(0, RANDOM_INTEGER_MAX)
            record.append(RandomInteger(node_id, path, number))
            return number

        copy = node.copy()
        copy["inputs"] = {name: _with_integers(value, name, draw) for name, value in node["inputs"].items()}
        filled[node_id] = copy
    return filled


def _with_integers(value: Json, path: str, draw: Callable[[str], int]) -> Json:
    """Return a value with each `__RANDOM_INT__` in it replaced by a random integer.

    `draw` returns a random integer for the path of a value, such as `texts.0`.
    """
    if isinstance(value, str) and RANDOM_INTEGER in value:
        number = draw(path)
        return number if value == RANDOM_INTEGER else value.replace(RANDOM_INTEGER, str(number))
    if isinstance(value, list):
        return [_with_integers(item, f"{path}.{index}", draw) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {name: _with_integers(item, f"{path}.{name}", draw) for name, item in value.items()}
    return value
