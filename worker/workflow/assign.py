"""Setting one input of a prompt by name, the way a person writes it: `NODE.INPUT` and a text."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from worker.errors import PromptError
from worker.workflow.json_value import Json
from worker.workflow.nearest import did_you_mean
from worker.workflow.prompt import Prompt, title


def set_input(prompt: Prompt, target: str, text: str) -> Prompt:
    """Return a copy in which the input `NODE.INPUT` holds `text`, read as JSON where it is JSON.

    NODE is a node id or a title that only one node has; names of inputs may have dots of their own
    (`model.aspect_ratio`). Raises `PromptError` naming the nearest node or input there is.
    """
    node_id, name = find_input(prompt, target)
    node = prompt[node_id].copy()
    node["inputs"] = {**node["inputs"], name: _read(text)}
    return {**prompt, node_id: node}


def _read(text: str) -> Json:
    try:
        value: Json = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value


def find_input(prompt: Prompt, target: str) -> tuple[str, str]:
    """Node id and input name of `NODE.INPUT`. Raises `PromptError` as `set_input` does."""
    found = [(node_id, name) for left, name in _splits(target) for node_id in _nodes_called(prompt, left)]
    fitting = [(node_id, name) for node_id, name in found if name in prompt[node_id]["inputs"]]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        ids = ", ".join(node_id for node_id, _ in fitting)
        raise PromptError(f"{target} fits several nodes ({ids}); use the node's id.")
    if found:
        node_id, name = found[0]
        inputs = list(prompt[node_id]["inputs"])
        raise PromptError(f"Node {node_id} has no input {name!r}.", node_id, name, did_you_mean(name, inputs))
    left = target.rpartition(".")[0]
    if not left:
        raise PromptError(f"{target!r} is not NODE.INPUT.")
    known = [*prompt, *(title(prompt, node_id) for node_id in prompt)]
    raise PromptError(f"There is no node {left!r}.", suggestion=did_you_mean(left, known))


def find_node(prompt: Prompt, name: str) -> str:
    """The id of a node by its id or by a title that only one node has. Raises `PromptError`."""
    found = _nodes_called(prompt, name)
    if len(found) == 1:
        return found[0]
    if found:
        raise PromptError(f"{name!r} fits several nodes ({', '.join(found)}); use the node's id.")
    known = [*prompt, *(title(prompt, node_id) for node_id in prompt)]
    raise PromptError(f"There is no node {name!r}.", suggestion=did_you_mean(name, known))


def _splits(target: str) -> Iterator[tuple[str, str]]:
    parts = target.split(".")
    for count in range(1, len(parts)):
        yield ".".join(parts[:count]), ".".join(parts[count:])


def _nodes_called(prompt: Prompt, name: str) -> list[str]:
    """An id beats titles, so that a node titled "7" never hides node 7."""
    if name in prompt:
        return [name]
    return [node_id for node_id in prompt if title(prompt, node_id) == name]
