"""Replacement of links into path inputs with their values, if the values are known before the prompt runs."""

from __future__ import annotations

from collections.abc import Iterable

from worker.inputs.file_inputs import FileInput
from worker.workflow.linked_values import LinkedValues, link_of
from worker.workflow.prompt import Prompt


def with_known_paths(prompt: Prompt, node_inputs: Iterable[FileInput]) -> Prompt:
    """Return the prompt with each link into `node_inputs` replaced with its value, if that is known.

    This guarantees that the node gets the checked value, whatever the linked nodes return when they run.
    """
    linked_inputs = [item for item in node_inputs if item.follows_links and link_of(item.value)]
    if not linked_inputs:
        return prompt
    linked_values = LinkedValues(prompt)
    values_by_input = {}
    for node_input in linked_inputs:
        link = link_of(node_input.value)
        value = linked_values.value(link) if link else None
        if value is not None:
            values_by_input[node_input.key] = value
    return {
        node_id: {
            **node,
            "inputs": {name: values_by_input.get((node_id, name), old) for name, old in node["inputs"].items()},
        }
        for node_id, node in prompt.items()
    }
