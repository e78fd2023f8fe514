"""Tests of to_editor_file: converting the file gives the prompt again."""

from __future__ import annotations

import orjson
import pytest

from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.editor import convert
from worker.workflow.editor.editor_file import to_editor_file
from worker.workflow.prompt import Prompt
from worker.workflow.templates.library import read_library

LIBRARY = read_library("shipped")


def round_trip(prompt: Prompt) -> Prompt:
    """Return the prompt that the editor would send after saving and loading the prompt."""
    return convert(orjson.loads(orjson.dumps(to_editor_file(prompt, bundled_catalog()))), bundled_catalog()).prompt


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_templates_survive_the_round_trip(name: str) -> None:
    """to_editor_file keeps the ids, values, links and titles of every shipped template."""
    prompt = LIBRARY[name].prompt
    actual = round_trip(prompt)
    assert actual.keys() == prompt.keys()
    for node_id, node in prompt.items():
        assert actual[node_id]["class_type"] == node["class_type"]
        assert {**actual[node_id]["inputs"], **node["inputs"]} == actual[node_id]["inputs"]


def test_autogrow_slots_are_linked() -> None:
    """to_editor_file links the slots of an autogrow group and adds an open slot behind the last one."""
    empty = {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}
    inputs = {f"images.image{number}": ["1", 0] for number in range(3)}
    prompt: Prompt = {"1": empty, "2": {"class_type": "BatchImagesNode", "inputs": inputs}}  # type: ignore[dict-item,typeddict-item]
    actual = to_editor_file(prompt, bundled_catalog())
    assert [slot["name"] for slot in actual["nodes"][1]["inputs"]][:4] == [*inputs, "images.image3"]
    assert actual["nodes"][0]["outputs"][0]["links"] == [1, 2, 3]


def test_undeclared_inputs_are_kept() -> None:
    """to_editor_file keeps values, links and ids of unknown classes and of inputs that no class declares."""
    prompt: Prompt = {
        "a:1": {"class_type": "Unheard", "inputs": {"code": "1+1", "outputs": {"outputs": ["INT"]}}},
        "7": {"class_type": "PreviewAny", "inputs": {"source": ["a:1", 1]}, "_meta": {"title": "Look"}},
    }
    actual = to_editor_file(prompt, bundled_catalog())
    first, last = actual["nodes"]
    assert (first["id"], first["widgets_values"]) == ("a:1", ["1+1", {"outputs": ["INT"]}])
    assert [output["links"] for output in first["outputs"]] == [None, [1]]
    assert (last["id"], last["title"], actual["last_node_id"]) == (7, "Look", 7)
    assert actual["links"] == [[1, "a:1", 1, 7, 0, "*"]]
