"""Embeddings that texts of a prompt name. ComfyUI skips a missing one and only logs a warning."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.json_value import Json
from worker.workflow.prompt import Prompt
from worker.workflow.running_nodes import running_nodes

EMBEDDINGS = "embeddings"
NAMED = re.compile(r"embedding:([^\s,:()|{}<>]+)")
ENDINGS = (".safetensors", ".pt", ".bin")
"""Extensions that ComfyUI tries, in this order, for a name without one."""


def named_embeddings(prompt: Prompt, catalog: Catalog, listed: Sequence[str]) -> Iterator[str]:
    """Yield the file name of each embedding once: the entry of `listed`, else the name that a download would have."""
    names = dict.fromkeys(
        name
        for node_id in running_nodes(prompt, catalog)
        for value in prompt[node_id]["inputs"].values()
        for text in _texts(value)
        for name in NAMED.findall(text)
    )
    for name in names:
        files = (name, *(f"{name}{ending}" for ending in ENDINGS))
        yield next((file for file in files if file in listed), name if name.endswith(ENDINGS) else files[1])


def _texts(value: Json) -> Iterator[str]:
    """Yield the texts in a value."""
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from _texts(item)
