"""All problems of a workflow, reported together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflow.prompts import empty, link, node, sampled, saved
from tests.workflow.test_prompt import JSON
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt
from worker.workflow.validation.check import UNSOUND, check
from worker.workflow.validation.confidence import is_certain
from worker.workflow.validation.explain import Problem
from worker.workflow.validation.file_check import AssumeFiles, AssumeUploads
from worker.workflow.validation.validate import validate

CATALOG = Catalog.bundled().with_files({"checkpoints": ["m.safetensors"]})


def reported(prompt: object, catalog: Catalog = CATALOG) -> list[tuple[str | None, str, str | None]]:
    """Return (node, kind, ComfyUI type) of each problem."""
    problems = check(prompt, catalog, AssumeUploads()).problems
    return [(problem.node_id, problem.kind, problem.comfyui_type) for problem in problems]


def test_a_valid_workflow_has_no_problems() -> None:
    """A valid workflow, wrapped or not, has no problems and is not changed."""
    prompt = sampled(steps="20")
    assert reported(prompt) == reported({"prompt": prompt}) == []
    assert prompt["3"]["inputs"]["steps"] == "20"


def test_a_missing_class_hides_no_other_problem() -> None:
    """Further missing classes and other errors are reported too, although ComfyUI stops at the first class."""
    prompt = sampled(width=1) | {
        "10": node("Nope", anything=link("8")),
        "11": node("EmptyImage", width=0, height=64, batch_size=1, color=0),
        "12": node("NeitherThis", images=link("11")),
        "13": saved("12"),
    }
    prompt["3"]["inputs"]["sampler_name"] = "eulr"
    assert sorted(reported(prompt), key=str) == [
        ("10", "missing_node_type", "missing_node_type"),
        ("11", "value_smaller_than_min", None),
        ("12", "missing_node_type", "missing_node_type"),
        ("3", "value_not_in_list", None),
        ("5", "value_smaller_than_min", None),
    ]
    assert validate(prompt, CATALOG).node_errors == {}


def test_nodes_behind_a_broken_link_are_checked() -> None:
    """A link to a missing node or slot, or of a wrong type, does not end the check."""
    prompt = sampled(width=1)
    prompt["3"]["inputs"] |= {"model": link("77"), "sampler_name": "eulr", "positive": link("6", 5)}
    prompt["8"]["inputs"]["vae"] = link("4", 1)
    assert sorted(reported(prompt), key=str) == [
        ("3", "exception_during_inner_validation", "exception_during_inner_validation"),
        ("3", "value_not_in_list", None),
        ("5", "value_smaller_than_min", None),
        ("8", "return_type_mismatch", "return_type_mismatch"),
    ]


def test_every_broken_link_is_reported() -> None:
    """Broken links in undeclared inputs, which crash ComfyUI, are reported too."""
    prompt = {"1": empty(a=link("x"), b=link("y")), "2": saved()}
    assert reported(prompt) == [("1", UNSOUND, None), ("1", UNSOUND, None)]
    assert validate(prompt, CATALOG).accepted


@pytest.mark.parametrize(
    "workflow", [None, [], {}, {"1": 5}, {"1": {"inputs": {}}}, {"1": {"class_type": "SaveImage"}}]
)
def test_a_value_that_is_no_workflow_has_one_problem(workflow: object) -> None:
    """The problem names the malformed node, if there is one."""
    result = check(workflow, CATALOG)
    assert (result.valid, len(result.problems), result.prompt) == (False, 1, {})


def problem(prompt: Prompt) -> Problem:
    """Return the only problem of a prompt."""
    (only_problem,) = check(prompt, CATALOG, AssumeUploads()).problems
    return only_problem


def test_a_missing_class_has_its_pack() -> None:
    """The suggestion names the pack, the ComfyUI version, or a similar class."""
    bare = Catalog.bundled().with_classes(dict.fromkeys(["ClownsharKSampler_Beta", "KSampler"]))
    prompt = {"1": node("ClownsharKSampler_Beta"), "2": node("KSampler"), "3": node("EmptyImag"), "4": empty()}
    suggestions = [each.suggestion or "" for each in check(prompt | {"5": saved("4")}, bare).problems]
    assert "RES4LYF (https://github.com/" in suggestions[0]
    assert "comes with ComfyUI 0.33.0" in suggestions[1]
    assert suggestions[2] == "Did you mean 'EmptyImage'?"


@pytest.mark.parametrize(
    ("input_name", "value", "expected", "suggestion"),
    [
        ("vae", link("4", 1), "VAE", "Link slot 2 (VAE) of node 4 (CheckpointLoaderSimple). Its type fits."),
        ("vae", link("6"), "VAE", "Link slot 2 (VAE) of node 4 (CheckpointLoaderSimple). Its type fits."),
        ("samples", link("3", 4), None, "Link 'samples' to an existing slot. Node 3 has 1 slot, counted from 0."),
        ("samples", [1, 2, 3], "a link: [node id, output slot]", None),
    ],
)
def test_a_link_of_the_wrong_type_has_a_suggestion(
    input_name: str, value: Any, expected: str | None, suggestion: str | None
) -> None:
    """The suggestion names a slot that fits, of the same node or of another."""
    prompt = sampled()
    prompt["8"]["inputs"][input_name] = value
    reported_problem = problem(prompt)
    assert (reported_problem.expected, reported_problem.suggestion) == (expected, suggestion)


def test_expected_describes_the_input() -> None:
    """expected has the range, the choices or the folder."""
    prompt = sampled(steps=0)
    assert problem(prompt).expected == "INT from 1 to 10000"
    prompt = sampled()
    prompt["3"]["inputs"]["seed"] = -1
    assert problem(prompt).expected == "INT from 0"
    prompt["3"]["inputs"] |= {"seed": 1, "scheduler": "x"}
    assert str(problem(prompt).expected).startswith("one of 'simple', ")
    prompt["3"]["inputs"] |= {"scheduler": "karras"}
    prompt["4"]["inputs"]["ckpt_name"] = "x"
    assert problem(prompt).expected == "a file in models/checkpoints"


FOREIGN: Any = {
    "input": {"required": {"mode": [["a", "b"]], "image": ["IMAGE"]}},
    "output": ["IMAGE"],
    "python_module": "custom_nodes.somebodys",
}
"""One class of a pack that nobody here knows."""


@pytest.mark.parametrize(
    ("changed", "version", "expected"),
    [
        ({"3": {"scheduler": "x"}}, "0.33.0", True),
        ({"3": {"scheduler": "x"}}, "0.40.1", False),
        ({"3": {"scheduler": None}}, "0.40.1", True),
        ({"f": {"mode": "c"}}, "0.33.0", False),
        ({"f": {"mode": None}}, "0.33.0", True),
        ({"9": {"images": ["3", 0]}}, "0.33.0", True),
        ({"f": {"image": ["3", 0]}}, "0.33.0", False),
        ({"9": {"images": ["77", 0]}}, "0.33.0", True),
    ],
)
def test_is_certain(changed: dict[str, dict[str, Any]], version: str, expected: bool) -> None:
    """Values and types of unknown packs and other versions are not certain. Missing inputs are."""
    catalog = CATALOG.with_classes({"Foreign": FOREIGN})
    prompt = sampled() | {"f": node("Foreign", mode="a", image=link("8")), "p": saved("f")}
    for node_id, inputs in changed.items():
        kept = {**prompt[node_id]["inputs"], **inputs}
        prompt[node_id]["inputs"] = {name: value for name, value in kept.items() if value is not None}
    problems = check(prompt, catalog, AssumeUploads()).problems
    assert [is_certain(each, prompt, catalog, version) for each in problems] == [expected]


NAMES = st.sampled_from(["images", "samples", "width", "vae", "ckpt_name", "model", "steps", "odd"])


@settings(deadline=None)  # the machine is shared
@given(
    st.dictionaries(
        st.sampled_from(["1", "2", "3", "4"]),
        st.fixed_dictionaries(
            {
                "class_type": st.sampled_from(
                    ["KSampler", "SaveImage", "VAEDecode", "Nope", "EmptyImage", "LoadImage"]
                ),
                "inputs": st.dictionaries(
                    NAMES, st.tuples(st.sampled_from(["1", "2", "9"]), st.integers(-2, 3)).map(list) | JSON, max_size=5
                ),
            }
        ),
        min_size=1,
    )
)
def test_check_never_raises(prompt: Any) -> None:
    """Every error of ComfyUI is reported once, with its type."""
    result = check(prompt, CATALOG, AssumeFiles())
    assert result.valid <= result.verdict.accepted
    if result.verdict.status != 500 and result.verdict.error is None:
        ours = sorted((p.node_id, p.comfyui_type) for p in result.problems if p.comfyui_type)
        theirs = [
            (node_id, error["type"])
            for node_id, entry in result.verdict.node_errors.items()
            for error in entry["errors"]
        ]  # type: ignore[index,union-attr,call-overload]
        assert ours == sorted(theirs)
