"""Setting inputs by name."""

from __future__ import annotations

import pytest

from worker.errors import PromptError
from worker.workflow.assign import set_input
from worker.workflow.prompt import Prompt

PROMPT: Prompt = {
    "3": {"class_type": "KSampler", "inputs": {"steps": 20, "seed": 1}, "_meta": {"title": "Sampler v1.5"}},
    "7:1": {"class_type": "Gemini", "inputs": {"model.aspect_ratio": "1:1"}, "_meta": {"title": "Draw"}},
    "8": {"class_type": "SaveImage", "inputs": {"filename_prefix": "x"}, "_meta": {"title": "Save"}},
    "9": {"class_type": "SaveImage", "inputs": {"filename_prefix": "y"}, "_meta": {"title": "Save"}},
}


@pytest.mark.parametrize(
    ("target", "text", "node_id", "name", "value"),
    [
        ("3.steps", "8", "3", "steps", 8),
        ("3.seed", '"8"', "3", "seed", "8"),
        ("3.seed", '["8", 0]', "3", "seed", ["8", 0]),
        ("8.filename_prefix", "a b.c", "8", "filename_prefix", "a b.c"),
        ("7:1.model.aspect_ratio", "16:9", "7:1", "model.aspect_ratio", "16:9"),
        ("Draw.model.aspect_ratio", "null", "7:1", "model.aspect_ratio", None),
        ("Sampler v1.5.steps", "1.5", "3", "steps", 1.5),
        ("KSampler.steps", "2", None, "", None),
    ],
)
def test_set_input_accepts_id_or_title(target: str, text: str, node_id: str | None, name: str, value: object) -> None:
    """Titles and inputs may contain dots, JSON is decoded, and the original prompt is not changed."""
    if node_id is None:
        with pytest.raises(PromptError):
            set_input(PROMPT, target, text)
        return
    changed = set_input(PROMPT, target, text)
    assert changed[node_id]["inputs"][name] == value
    assert changed != PROMPT
    assert {key: node for key, node in changed.items() if key != node_id} == {
        key: node for key, node in PROMPT.items() if key != node_id
    }


@pytest.mark.parametrize(
    ("target", "node_id", "suggestion"),
    [
        ("3.stepz", "3", "Did you mean 'steps'?"),
        ("Sampler v15.steps", None, "Did you mean 'Sampler v1.5'?"),
        ("steps", None, None),
        ("Save.filename_prefix", None, None),
    ],
)
def test_set_input_suggests_the_nearest_name(target: str, node_id: str | None, suggestion: str | None) -> None:
    """An unknown node or input, an ambiguous title and a target without a dot raise PromptError."""
    with pytest.raises(PromptError) as refusal:
        set_input(PROMPT, target, "1")
    assert (refusal.value.node_id, refusal.value.suggestion) == (node_id, suggestion)
