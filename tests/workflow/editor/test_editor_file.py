"""An API prompt opened in the editor and saved: converting the file gives the prompt again."""

from __future__ import annotations

import orjson
import pytest

from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.editor import convert
from worker.workflow.editor.editor_file import to_editor_file
from worker.workflow.prompt import Prompt
from worker.workflow.templates.library import read_library

LIBRARY = read_library("shipped")


def again(prompt: Prompt) -> Prompt:
    """What the editor would send after saving and loading the prompt."""
    return convert(orjson.loads(orjson.dumps(to_editor_file(prompt, bundled_catalog()))), bundled_catalog()).prompt


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_a_template_comes_back(name: str) -> None:
    """Ids, values, links and titles of a real workflow survive the way through the file."""
    prompt = LIBRARY[name].prompt
    found = again(prompt)
    assert found.keys() == prompt.keys()
    for node_id, node in prompt.items():
        assert found[node_id]["class_type"] == node["class_type"]
        assert {**found[node_id]["inputs"], **node["inputs"]} == found[node_id]["inputs"]


def test_slots_that_grow_are_linked() -> None:
    """Links into a group of inputs have their slots, and the slot behind the last one is open."""
    empty = {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}
    inputs = {f"images.image{number}": ["1", 0] for number in range(3)}
    prompt: Prompt = {"1": empty, "2": {"class_type": "BatchImagesNode", "inputs": inputs}}  # type: ignore[dict-item,typeddict-item]
    found = to_editor_file(prompt, bundled_catalog())
    assert [slot["name"] for slot in found["nodes"][1]["inputs"]][:4] == [*inputs, "images.image3"]
    assert found["nodes"][0]["outputs"][0]["links"] == [1, 2, 3]


def test_what_no_class_declares_is_there() -> None:
    """A class that is not known, or inputs that its pack makes in the browser, keep their values, links and ids."""
    prompt: Prompt = {
        "a:1": {"class_type": "Unheard", "inputs": {"code": "1+1", "outputs": {"outputs": ["INT"]}}},
        "7": {"class_type": "PreviewAny", "inputs": {"source": ["a:1", 1]}, "_meta": {"title": "Look"}},
    }
    found = to_editor_file(prompt, bundled_catalog())
    first, last = found["nodes"]
    assert (first["id"], first["widgets_values"]) == ("a:1", ["1+1", {"outputs": ["INT"]}])
    assert [output["links"] for output in first["outputs"]] == [None, [1]]
    assert (last["id"], last["title"], found["last_node_id"]) == (7, "Look", 7)
    assert found["links"] == [[1, "a:1", 1, 7, 0, "*"]]
