"""The API-format prompt: the graph that ComfyUI runs, read from what a client sent."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from random import Random
from typing import NotRequired, TypedDict

import orjson

from worker.graph.json_value import Json, JsonObject

RANDOM_INTEGER = "__RANDOM_INT__"
RANDOM_INTEGER_MAX = 2**32 - 1  # the stock template of Vast draws from 0 to this, both included


class Node(TypedDict):
    """One node of a prompt: `inputs` maps an input's name to a value or to a link `[node id, output slot]`."""

    class_type: str
    inputs: dict[str, Json]
    _meta: NotRequired[JsonObject]


Prompt = dict[str, Node]


class PromptError(ValueError):
    """The workflow is not a prompt, or what was asked of it does not exist in it."""

    def __init__(
        self, message: str, node_id: str | None = None, input: str | None = None, suggestion: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.node_id = node_id
        self.input = input
        self.suggestion = suggestion


class UiFormatError(PromptError):
    """The workflow is what the editor saves (`nodes` and `links`), which has to be converted first."""


def parse_prompt(value: object) -> Prompt:
    """Check that a decoded JSON value is an API-format prompt and return its nodes by id.

    An export wrapped as `{"prompt": {...}}` is unwrapped. Only the shape is checked: links to nodes that are not
    there and unknown classes are for `validate`. Raises `UiFormatError` or `PromptError`.
    """
    raise NotImplementedError


def is_link(value: Json) -> bool:
    """True for `[node id, output slot]`."""
    raise NotImplementedError


def links(node: Node) -> Iterator[tuple[str, str, int]]:
    """Yield (input, source node id, source slot) for each linked input."""
    raise NotImplementedError


def title(prompt: Prompt, node_id: str) -> str:
    """Return what the author calls a node: its `_meta.title`, else its class, else its id."""
    raise NotImplementedError


def ancestors(prompt: Prompt, node_id: str) -> frozenset[str]:
    """Return the ids of all nodes that this one needs, without itself unless it is part of a cycle."""
    raise NotImplementedError


def draw_random_integers(prompt: Prompt, rng: Random) -> Prompt:
    """Return a copy in which each `__RANDOM_INT__` inside an input is a fresh random integer."""
    raise NotImplementedError


def set_input(prompt: Prompt, target: str, text: str) -> Prompt:
    """Return a copy in which the input `NODE.INPUT` holds `text`, read as JSON where it is JSON.

    NODE is a node id or a title that only one node has. Raises `PromptError` naming the nearest.
    """
    raise NotImplementedError
