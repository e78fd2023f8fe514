"""Replacement of links into path inputs with their values, if the values are known before the prompt runs."""

from __future__ import annotations

from collections.abc import Iterable

from worker.inputs.file_inputs import FileInput
from worker.workflow.linked_values import LinkedValues, link_of
from worker.workflow.prompt import Prompt


def with_known_paths(prompt: Prompt, node_inputs: Iterable[FileInput]) -> Prompt:
    """Return the prompt with each link into `node_inputs` replaced with its value, if that is known.

    So the node gets the checked value, whatever the linked nodes return when they run.
    """
    linked = [(item, link) for item in node_inputs if (link := link_of(item.value)) and item.follows_links]
    if not linked:
        return prompt
    values = LinkedValues(prompt)
    values_by_input = {item.key: value for item, link in linked if (value := values.value(link)) is not None}
    return {
        node_id: {
            **node,
            "inputs": {name: values_by_input.get((node_id, name), old) for name, old in node["inputs"].items()},
        }
        for node_id, node in prompt.items()
    }
