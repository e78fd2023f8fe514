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
    """Yield the file of each embedding that a text of a running node names, without repetitions.

    `listed` are the embedding files that the engine has. A name without extension stands for the first of these files
    that has the name and one of `ENDINGS`. If the engine has none, the file is the name with `.safetensors` appended.
    """
    running = running_nodes(prompt, catalog)
    texts = (text for node_id in running for value in prompt[node_id]["inputs"].values() for text in _texts(value))
    names = dict.fromkeys(name for text in texts for name in NAMED.findall(text))
    for name in names:
        with_endings = [f"{name}{ending}" for ending in ENDINGS]
        match = next((file for file in (name, *with_endings) if file in listed), None)
        missing_file = name if name.endswith(ENDINGS) else with_endings[0]
        yield match or missing_file


def _texts(value: Json) -> Iterator[str]:
    """Yield the value if it is a text, or the texts at any depth of an object. Lists, which are links, have none."""
    match value:
        case str():
            yield value
        case dict():
            for item in value.values():
                yield from _texts(item)
