"""Repairs of prompts that were sent to a real ComfyUI 0.33.0: it rejected every prompt that is repaired."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.test_verdicts import (
    RECORDINGS,
    PlaceholderFiles,
    RecordedMachine,
    read,
    recorded_catalog,
    reduced_catalog,
    submissions,
)
from worker.errors import PromptError
from worker.workflow.prompt import Prompt, parse_prompt
from worker.workflow.repairs import repair
from worker.workflow.validation.validate import validate

pytestmark = pytest.mark.conformance


def parse_or_empty(value: Any) -> Prompt:
    """Return the parsed prompt, or an empty one when it cannot be parsed."""
    try:
        return parse_prompt(value)
    except PromptError:
        return {}


def test_accepted_prompts_are_not_repaired() -> None:
    """A prompt of the editor that ComfyUI accepted is not repaired, with either catalog."""
    verdicts = read("verdicts-0.33.0.json")["ui_workflows"]
    accepted = [name for name, verdict in verdicts.items() if verdict["status"] == 200 and not verdict["node_errors"]]
    prompts = {name: read(f"ui-workflows/api/{name}.json") for name in accepted}
    assert len(accepted) > 190
    for catalog in (recorded_catalog(), reduced_catalog()):
        repairs = {name: repair(prompt, catalog).repairs for name, prompt in prompts.items()}
        assert {name: repaired_codes for name, repaired_codes in repairs.items() if repaired_codes} == {}


def test_repaired_prompts_are_valid() -> None:
    """A seed that is out of range is repaired, and the repaired prompt is valid."""
    catalog = recorded_catalog()
    name = "hand__11_control_after_generate"
    prompt = read(f"ui-workflows/api/{name}.json")
    assert [change.code for change in repair(prompt, catalog).repairs] == ["seed_out_of_range"]
    assert not validate(prompt, catalog, PlaceholderFiles()).accepted
    assert validate(repair(prompt, catalog).prompt, catalog, PlaceholderFiles()).accepted


@pytest.mark.parametrize("recording", RECORDINGS)
def test_accepted_submissions_are_not_repaired(recording: str) -> None:
    """A recorded prompt that ComfyUI accepted is not repaired, and a repair never adds errors."""
    for name, body, response in submissions(recording):
        prompt = parse_or_empty(body["prompt"])
        repaired = repair(prompt, reduced_catalog())
        answer = response.get("json") or {}
        if response["status"] == 200 and not answer.get("node_errors"):
            assert repaired.prompt is prompt, name
        if repaired.repairs:
            before = validate(prompt, reduced_catalog(), RecordedMachine())
            after = validate(repaired.prompt, reduced_catalog(), RecordedMachine())
            assert after.accepted or len(after.node_errors) <= len(before.node_errors) or before.status == 500, name
