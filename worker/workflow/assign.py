"""Sets one input of a prompt, named as a person writes it: `NODE.INPUT` and a text."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from worker.errors import PromptError
from worker.workflow.json_value import Json
from worker.workflow.nearest import did_you_mean
from worker.workflow.prompt import Prompt, title


def set_input(prompt: Prompt, target: str, text: str) -> Prompt:
    """Return a copy in which the input `NODE.INPUT` holds `text`. Text that is valid JSON is decoded first.

    NODE is a node id, or a title that only one node has. Names of inputs may contain dots (`model.aspect_ratio`).
    Raises `PromptError` if no input matches, or several do. The error suggests the nearest existing node or input.
    """
    node_id, name = find_input(prompt, target)
    node = prompt[node_id].copy()
    node["inputs"] = {**node["inputs"], name: _decoded(text)}
    return {**prompt, node_id: node}


def _decoded(text: str) -> Json:
    """Return the JSON value of a text, or the text itself if it is not JSON."""
    try:
        value: Json = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value


def find_input(prompt: Prompt, target: str) -> tuple[str, str]:
    """Return the node id and the input name of `NODE.INPUT`.

    Raises `PromptError` if no input matches, or several do. The error suggests the nearest existing node or input.
    """
    # Names of nodes and inputs may contain dots, so each dot may be the separator.
    candidates = [(node_id, name) for node, name in _splits(target) for node_id in _matching_ids(prompt, node)]
    matches = [(node_id, name) for node_id, name in candidates if name in prompt[node_id]["inputs"]]
    if len(matches) == 1:
        return matches[0]
    if matches:
        ids = ", ".join(node_id for node_id, _ in matches)
        raise PromptError(f"{target} matches several nodes ({ids}). Use the id of the node.")
    if candidates:  # the node exists, but not the input
        node_id, name = candidates[0]
        inputs = list(prompt[node_id]["inputs"])
        raise PromptError(f"Node {node_id} has no input {name!r}.", node_id, name, did_you_mean(name, inputs))
    node = target.rpartition(".")[0]
    if not node:
        raise PromptError(f"{target!r} is not of the form NODE.INPUT.")
    raise PromptError(f"There is no node {node!r}.", suggestion=did_you_mean(node, _node_names(prompt)))


def find_node(prompt: Prompt, name: str) -> str:
    """Return the id of the node with this id or title.

    Raises `PromptError` if there is no such node, or if several nodes have the title.
    """
    ids = _matching_ids(prompt, name)
    if len(ids) == 1:
        return ids[0]
    if ids:
        raise PromptError(f"{name!r} matches several nodes ({', '.join(ids)}). Use the id of the node.")
    raise PromptError(f"There is no node {name!r}.", suggestion=did_you_mean(name, _node_names(prompt)))


def _node_names(prompt: Prompt) -> list[str]:
    """Return the ids and the titles of all nodes."""
    return [*prompt, *(title(prompt, node_id) for node_id in prompt)]


def _splits(target: str) -> Iterator[tuple[str, str]]:
    """Yield (node, input) for each dot at which the text can be split."""
    parts = target.split(".")
    for count in range(1, len(parts)):
        yield ".".join(parts[:count]), ".".join(parts[count:])


def _matching_ids(prompt: Prompt, name: str) -> list[str]:
    """Return the ids of the nodes with this name: the node with this id, else all nodes with this title."""
    if name in prompt:
        return [name]
    return [node_id for node_id in prompt if title(prompt, node_id) == name]
