"""Comparison of the verdicts of `worker.workflow.validation.validate` with those of a real ComfyUI 0.33.0."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from worker.workflow.catalog.catalog import BUNDLED, MADE_FROM, Catalog
from worker.workflow.catalog.reduce import bundle, reduced
from worker.workflow.validation.check import CheckResult, check
from worker.workflow.validation.confidence import is_certain
from worker.workflow.validation.validate import Verdict, validate

pytestmark = pytest.mark.conformance

CHECKOUT = Path(__file__).parents[2]
DATA = Path(os.environ.get("SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
RECORDINGS = ("08-validation-errors", "19-same-prompt-id", "23-submit-options", "30-new-routes", "32-node-replacement")


def read(name: str) -> Any:
    return orjson.loads((DATA / name).read_bytes())


@cache
def recorded_object_info() -> dict[str, Any]:
    return read("object_info-0.33.0.json") | read("object_info-0.33.0-optional-packs.json")


@cache
def recorded_catalog() -> Catalog:
    return Catalog.from_object_info(recorded_object_info())


@cache
def reduced_catalog() -> Catalog:
    """Return the recorded catalog in the reduced form of the embedded engine and the worker."""
    return reduced(recorded_catalog()).with_files({"checkpoints": ["random_sd15.safetensors"]})


class PlaceholderFiles:
    """The placeholder files that existed when the editor's prompts were recorded."""

    def __init__(self) -> None:
        self.models: dict[str, list[str]] = read("standins-0.33.0.json")["models"]

    def exists(self, folder: str, name: str) -> bool:
        return folder == "input" or name in self.models.get(folder, ())


class RecordedMachine:
    """The files of the server of the recorded sessions: one checkpoint and one example image."""

    def exists(self, folder: str, name: str) -> bool:
        return (folder, name) in {("checkpoints", "random_sd15.safetensors"), ("input", "example.png")}


def summary(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict in the form of verdicts-0.33.0.json."""
    node_errors: dict[str, Any] = verdict.node_errors
    return {
        "status": verdict.status,
        "error_type": verdict.error and verdict.error["type"],
        "node_errors": {
            node_id: sorted(error["type"] for error in entry["errors"]) for node_id, entry in node_errors.items()
        },
    }


@pytest.mark.parametrize("kind", ["recorded", "reduced"])
def test_the_editors_prompts(kind: str) -> None:
    """Each of the editor's 214 prompts gets ComfyUI's verdict, with either catalog."""
    catalog = recorded_catalog() if kind == "recorded" else reduced_catalog()
    expected = read("verdicts-0.33.0.json")["ui_workflows"]
    actual = {
        name: summary(validate(read(f"ui-workflows/api/{name}.json"), catalog, PlaceholderFiles())) for name in expected
    }
    assert len(expected) == 214
    assert {name: actual[name] for name in expected if actual[name] != expected[name]} == {}


def submissions(recording: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield name, body and response of the recorded submissions whose result depends only on the prompt."""
    name = ""
    for event in read(f"transcripts-0.33.0/{recording}.json")["events"]:
        if event["kind"] == "note":
            name = event["text"]
        if event["kind"] != "http" or event["request"]["method"] != "POST" or event["request"]["path"] != "/prompt":
            continue
        body, response = event["request"].get("json"), event["response"]
        error = response.get("json", {}).get("error", {})
        about_the_rest = response["status"] == 500 and {"number", "extra_data"} & set(body or ())
        about_the_rest = about_the_rest or error.get("type") == "invalid_prompt_id"
        if isinstance(body, dict) and "prompt" in body and not about_the_rest:
            yield f"{recording}: {name}", body, response


def comparable(node_errors: dict[str, Any]) -> dict[str, Any]:
    """Return the errors without what is random: their order, tracebacks, and tooltips."""
    plain = json.loads(json.dumps(node_errors))
    for entry in plain.values():
        for error in entry["errors"]:
            error["extra_info"].pop("traceback", None)
            config = error["extra_info"].get("input_config")
            if config:
                error["extra_info"]["input_config"] = config[0]
        entry["errors"].sort(key=json.dumps)
        entry["dependent_outputs"].sort()
    return plain


@pytest.mark.parametrize("recording", RECORDINGS)
def test_recorded_submissions(recording: str) -> None:
    """Status, error and node errors of recorded submissions are equal to ComfyUI's, including all texts."""
    differing = {}
    count = 0
    for name, body, response in submissions(recording):
        count += 1
        verdict = validate_submission(body)
        answer = response.get("json") or {}
        actual = (verdict.status, verdict.error, comparable(verdict.node_errors))
        expected = (response["status"], answer.get("error"), comparable(answer.get("node_errors", {})))
        if actual != expected:
            differing[name] = actual, expected
    assert count > 0
    assert differing == {}


@pytest.mark.parametrize("recording", ["08-validation-errors", "23-submit-options"])
def test_accepted_prompts_run_as_recorded(recording: str) -> None:
    """The coerced prompt and the outputs to run are those of ComfyUI's history."""
    history: dict[str, Any] = {}
    for event in read(f"transcripts-0.33.0/{recording}.json")["events"]:
        if event["kind"] == "http" and event["request"]["path"].startswith("/history/"):
            history.update(event["response"].get("json") or {})
    compared = 0
    for name, body, response in submissions(recording):
        ran = history.get((response.get("json") or {}).get("prompt_id"))
        if ran:
            compared += 1
            verdict = validate_submission(body)
            assert (verdict.prompt, set(verdict.outputs)) == (ran["prompt"][2], set(ran["prompt"][4])), name
    assert compared > 3


def error_types(checked: CheckResult) -> dict[str, list[str]]:
    """Return the types of ComfyUI's errors by node from a check result."""
    types_by_node: dict[str, list[str]] = {}
    for problem in checked.problems:
        if problem.node_id is not None and problem.comfyui_type is not None:
            types_by_node.setdefault(problem.node_id, []).append(problem.comfyui_type)
    return {node_id: sorted(kinds) for node_id, kinds in types_by_node.items()}


def test_reports_of_the_editors_prompts() -> None:
    """The check of each of the editor's 214 prompts reports ComfyUI's error types by node and no other problem."""
    expected = read("verdicts-0.33.0.json")["ui_workflows"]
    wrong = {}
    for name, verdict in expected.items():
        checked = check(read(f"ui-workflows/api/{name}.json"), recorded_catalog(), PlaceholderFiles())
        good = verdict["status"] == 200 and not verdict["node_errors"]
        if (summary(checked.verdict), error_types(checked), checked.valid) != (verdict, verdict["node_errors"], good):
            wrong[name] = error_types(checked), verdict
        assert all(is_certain(problem, checked.prompt, recorded_catalog()) for problem in checked.problems), name
    assert wrong == {}


@pytest.mark.parametrize("recording", RECORDINGS)
def test_reports_of_recorded_submissions(recording: str) -> None:
    """The check of a recorded submission reports ComfyUI's error types, and no problem for an accepted one."""
    wrong = {}
    for name, body, response in submissions(recording):
        if "partial_execution_targets" in body:
            continue  # the verdict is of a part of the prompt
        checked = check(body["prompt"], reduced_catalog(), RecordedMachine())
        answer = response.get("json") or {}
        kinds = {
            node_id: sorted(error["type"] for error in entry["errors"])
            for node_id, entry in answer.get("node_errors", {}).items()
        }
        refused = response["status"] != 200 or bool(kinds)
        alone = answer.get("error", {}).get("type") in {"missing_node_type", "prompt_no_outputs"}
        fine = alone or error_types(checked) == kinds or response["status"] == 500  # which the worker does not send
        if not fine or checked.verdict.status != response["status"] or (checked.valid and refused and not fine):
            wrong[name] = error_types(checked), kinds, checked.verdict.status
        assert not (checked.problems and not refused), name
    assert wrong == {}


def validate_submission(body: dict[str, Any]) -> Verdict:
    """Validate the body of a submission as the recorded server did."""
    return validate(body["prompt"], reduced_catalog(), RecordedMachine(), body.get("partial_execution_targets"))


PINNED = ("object_info-0.33.0-optional-packs.json", "object_info-pinned.json")
"""The image's catalog at the pinned commits: the optional packs, and all other classes."""


def test_bundled_catalog_is_reduced_from_the_pinned_one() -> None:
    """The committed catalog is the reduced form of the pinned ComfyUI's catalog."""
    data = CHECKOUT / "worker" / "workflow" / "catalog" / "data"
    # The data was made with the standard library's json, and orjson reads some numbers differently.
    optional, pinned = (json.loads((DATA / name).read_bytes()) for name in PINNED)
    packed, made_from = bundle((CHECKOUT / "comfyui_nodes.txt").read_text("utf-8"), optional | pinned)
    # The compressed bytes depend on the version of zlib.
    assert gzip.decompress((data / BUNDLED).read_bytes()) == gzip.decompress(packed)
    assert json.loads((data / MADE_FROM).read_bytes()) == made_from


def test_bundled_catalog_equals_the_pinned_one() -> None:
    """The bundled catalog equals the pinned one in everything that validation uses, except for file choices."""
    bundled, pinned = Catalog.bundled(), Catalog.from_object_info(read(PINNED[0]) | read(PINNED[1]))
    assert set(bundled) >= set(read(PINNED[1]))
    for name, ours_of_it in bundled.items():
        node_class = pinned[name]
        assert ours_of_it.outputs == node_class.outputs
        assert (ours_of_it.output_node, ours_of_it.is_v3, ours_of_it.pack) == (
            node_class.output_node,
            node_class.is_v3,
            node_class.pack,
        )
        for ours, theirs in zip(ours_of_it.inputs, node_class.inputs, strict=True):
            assert (ours.name, ours.type, ours.presence) == (theirs.name, theirs.type, theirs.presence)
            assert (ours.min, ours.max, ours.step) == (theirs.min, theirs.max, theirs.step)
            assert ours.folders or ours.options == theirs.options
