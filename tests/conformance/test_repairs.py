"""Prompts that a real ComfyUI 0.33.0 was sent: what it accepted stays as it is, and what is repaired it refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.test_verdicts import (
    RECORDINGS,
    RecordedMachine,
    StandIns,
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


def readable(value: Any) -> Prompt:
    """The prompt, empty where it is none."""
    try:
        return parse_prompt(value)
    except PromptError:
        return {}


def test_the_editors_accepted_prompts_stay() -> None:
    """None of those that the real server accepted is repaired, by the catalog of the server or by the reduced one."""
    verdicts = read("verdicts-0.33.0.json")["ui_workflows"]
    accepted = [name for name, verdict in verdicts.items() if verdict["status"] == 200 and not verdict["node_errors"]]
    prompts = {name: read(f"ui-workflows/api/{name}.json") for name in accepted}
    assert len(accepted) > 190
    for catalog in (recorded_catalog(), reduced_catalog()):
        repairs = {name: repair(prompt, catalog).repairs for name, prompt in prompts.items()}
        assert {name: found for name, found in repairs.items() if found} == {}


def test_the_editors_repaired_prompts_run() -> None:
    """A prompt that is repaired has one problem less, and with the files in place ComfyUI takes it."""
    catalog = recorded_catalog()
    name = "hand__11_control_after_generate"
    prompt = read(f"ui-workflows/api/{name}.json")
    assert [one.code for one in repair(prompt, catalog).repairs] == ["seed_out_of_range"]
    assert not validate(prompt, catalog, StandIns()).accepted
    assert validate(repair(prompt, catalog).prompt, catalog, StandIns()).accepted


@pytest.mark.parametrize("recording", RECORDINGS)
def test_recorded_accepted_submissions_stay(recording: str) -> None:
    """A whole prompt that the real server accepted has no repair; the verdict of a repaired one is no worse."""
    for name, body, response in submissions(recording):
        prompt = readable(body["prompt"])
        repaired = repair(prompt, reduced_catalog())
        answer = response.get("json") or {}
        if response["status"] == 200 and not answer.get("node_errors"):
            assert repaired.prompt is prompt, name
        if repaired.repairs:
            before = validate(prompt, reduced_catalog(), RecordedMachine())
            after = validate(repaired.prompt, reduced_catalog(), RecordedMachine())
            assert after.accepted or len(after.node_errors) <= len(before.node_errors) or before.status == 500, name
