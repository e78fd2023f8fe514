"""Graphs that ComfyUI takes and then dies of: refused before they reach it.

Its validation follows only the inputs that a class has, its execution every link there is. A link to a node that isn't
there, or a chain too long for its recursion, under an input that no class knows, is accepted with 200 and then raises
outside of everything that catches: the thread that runs prompts ends, and nothing runs any more (seen on 0.33.0).
"""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from worker.errors import PromptError
from worker.workflow.nearest import did_you_mean
from worker.workflow.prompt import Prompt

DEEPEST = 500
"""Nodes in a row. Python's limit of 1000 frames ends ComfyUI at about 970."""
MOST_SUGGESTIONS = 20


def unsound(prompt: Prompt) -> Iterator[PromptError]:
    """Yield every link to nowhere, the first few with the id that was probably meant; else a chain that is too long."""
    lost = 0
    for node_id, name, source in _links(prompt):
        if source not in prompt:
            lost += 1
            yield PromptError(
                f"Input {name!r} of node {node_id} is linked to node {source!r}, which is not there.",
                node_id,
                name,
                did_you_mean(source, prompt) if lost <= MOST_SUGGESTIONS else None,
            )
    if len(prompt) > DEEPEST and not lost:
        try:
            _check_depth(prompt)
        except PromptError as error:
            yield error


def _check_depth(prompt: Prompt) -> None:
    sources: dict[str, set[str]] = {node_id: set() for node_id in prompt}
    for node_id, _, source in _links(prompt):
        sources[node_id].add(source)
    depths: dict[str, int] = {}
    try:
        for node_id in TopologicalSorter(sources).static_order():
            depths[node_id] = 1 + max((depths[source] for source in sources[node_id]), default=0)
    except CycleError as error:
        raise PromptError("The workflow has a cycle.", str(error.args[1][0])) from None
    deepest = max(depths, key=depths.__getitem__)
    if depths[deepest] > DEEPEST:
        raise PromptError(f"Node {deepest} stands behind a chain of more than {DEEPEST} nodes.", deepest)


def _links(prompt: Prompt) -> Iterator[tuple[str, str, str]]:
    """(node id, input, source): whatever ComfyUI follows, a slot of 1.5 included.

    A list that is wrapped so as to be no link becomes one all the same: validation unwraps it, and execution then
    follows it.
    """
    for node_id, node in prompt.items():
        for name, value in node["inputs"].items():
            match value:
                case [str(source), int() | float()] | {"__value__": [str(source), int() | float()]}:
                    yield node_id, name, source
