"""Links into inputs that take a path: their values, where these are known before the prompt runs."""

from __future__ import annotations

from collections.abc import Iterable

from worker.inputs.file_inputs import FileInput
from worker.workflow.linked_values import LinkedValues, link_of
from worker.workflow.prompt import Prompt


def with_known_paths(prompt: Prompt, places: Iterable[FileInput]) -> Prompt:
    """Return the prompt with the value in place of each link into `places` whose value is known.

    The node gets what was checked, whatever the nodes before it do when they run.
    """
    linked = [(place, link) for place in places if (link := link_of(place.value)) and place.follows_links]
    if not linked:
        return prompt
    values = LinkedValues(prompt)
    known = {place.key: value for place, link in linked if (value := values.value(link)) is not None}
    return {
        node_id: {**node, "inputs": {name: known.get((node_id, name), was) for name, was in node["inputs"].items()}}
        for node_id, node in prompt.items()
    }
