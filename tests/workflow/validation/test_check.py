"""Everything that is wrong with a workflow, told at once."""

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


def told(prompt: object, catalog: Catalog = CATALOG) -> list[tuple[str | None, str, str | None]]:
    """(node, kind, what ComfyUI itself calls it) of each problem."""
    found = check(prompt, catalog, AssumeUploads()).problems
    return [(problem.node_id, problem.kind, problem.comfyui_type) for problem in found]


def test_a_good_workflow_has_no_problem() -> None:
    """Nothing is told of what runs, wrapped or not, and the workflow is left as it was."""
    prompt = sampled(steps="20")
    assert told(prompt) == told({"prompt": prompt}) == []
    assert prompt["3"]["inputs"]["steps"] == "20"


def test_one_missing_class_hides_nothing() -> None:
    """ComfyUI stops at the first class it does not have; here the second, and wrong values elsewhere, are told too."""
    prompt = sampled(width=1) | {
        "10": node("Nope", anything=link("8")),
        "11": node("EmptyImage", width=0, height=64, batch_size=1, color=0),
        "12": node("NeitherThis", images=link("11")),
        "13": saved("12"),
    }
    prompt["3"]["inputs"]["sampler_name"] = "eulr"
    assert sorted(told(prompt), key=str) == [
        ("10", "missing_node_type", "missing_node_type"),
        ("11", "value_smaller_than_min", None),
        ("12", "missing_node_type", "missing_node_type"),
        ("3", "value_not_in_list", None),
        ("5", "value_smaller_than_min", None),
    ]
    assert validate(prompt, CATALOG).node_errors == {}


def test_what_stands_behind_a_lost_link_is_checked() -> None:
    """Neither a link to nowhere, nor one to a slot that isn't there, nor one of a wrong type ends the checking."""
    prompt = sampled(width=1)
    prompt["3"]["inputs"] |= {"model": link("77"), "sampler_name": "eulr", "positive": link("6", 5)}
    prompt["8"]["inputs"]["vae"] = link("4", 1)
    assert sorted(told(prompt), key=str) == [
        ("3", "exception_during_inner_validation", "exception_during_inner_validation"),
        ("3", "value_not_in_list", None),
        ("5", "value_smaller_than_min", None),
        ("8", "return_type_mismatch", "return_type_mismatch"),
    ]


def test_every_link_to_nowhere_is_told() -> None:
    """Also under inputs that no class knows, where ComfyUI accepts them and dies."""
    prompt = {"1": empty(a=link("x"), b=link("y")), "2": saved()}
    assert told(prompt) == [("1", UNSOUND, None), ("1", UNSOUND, None)]
    assert validate(prompt, CATALOG).accepted


@pytest.mark.parametrize(
    "workflow", [None, [], {}, {"1": 5}, {"1": {"inputs": {}}}, {"1": {"class_type": "SaveImage"}}]
)
def test_what_is_no_workflow_is_one_problem(workflow: object) -> None:
    """Whatever was sent, there is an answer, and it says where it can't be read."""
    found = check(workflow, CATALOG)
    assert (found.valid, len(found.problems), found.prompt) == (False, 1, {})


def problem(prompt: Prompt) -> Problem:
    (found,) = check(prompt, CATALOG, AssumeUploads()).problems
    return found


def test_a_missing_class_comes_with_its_pack() -> None:
    """The pack that provides it, where we know one; the version of ComfyUI that has it; else a name that is near."""
    bare = Catalog.bundled().with_classes(dict.fromkeys(["ClownsharKSampler_Beta", "KSampler"]))
    prompt = {"1": node("ClownsharKSampler_Beta"), "2": node("KSampler"), "3": node("EmptyImag"), "4": empty()}
    cures = [found.suggestion or "" for found in check(prompt | {"5": saved("4")}, bare).problems]
    assert "RES4LYF (https://github.com/" in cures[0]
    assert "comes with ComfyUI 0.33.0" in cures[1]
    assert cures[2] == "Did you mean 'EmptyImage'?"


@pytest.mark.parametrize(
    ("input_name", "value", "expected", "suggestion"),
    [
        ("vae", link("4", 1), "VAE", "Link slot 2 (VAE) of node 4 (CheckpointLoaderSimple). Its type fits."),
        ("vae", link("6"), "VAE", "Link slot 2 (VAE) of node 4 (CheckpointLoaderSimple). Its type fits."),
        ("samples", link("3", 4), None, "Link 'samples' to an existing slot. Node 3 has 1 slot, counted from 0."),
        ("samples", [1, 2, 3], "a link: [node id, output slot]", None),
    ],
)
def test_the_slot_that_would_fit(input_name: str, value: Any, expected: str | None, suggestion: str | None) -> None:
    """A link that does not fit comes with what does: of the same node, or of another."""
    prompt = sampled()
    prompt["8"]["inputs"][input_name] = value
    found = problem(prompt)
    assert (found.expected, found.suggestion) == (expected, suggestion)


def test_what_was_expected() -> None:
    """The range, the choices, or the folder of the file."""
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
    ("changed", "version", "sure"),
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
def test_only_what_is_certain_is_told_ahead(changed: dict[str, dict[str, Any]], version: str, sure: bool) -> None:
    """Values and types of unknown packs, and of other versions, are for ComfyUI to judge; what is missing is not."""
    catalog = CATALOG.with_classes({"Foreign": FOREIGN})
    prompt = sampled() | {"f": node("Foreign", mode="a", image=link("8")), "p": saved("f")}
    for node_id, inputs in changed.items():
        kept = {**prompt[node_id]["inputs"], **inputs}
        prompt[node_id]["inputs"] = {name: value for name, value in kept.items() if value is not None}
    problems = check(prompt, catalog, AssumeUploads()).problems
    assert [is_certain(found, prompt, catalog, version) for found in problems] == [sure]


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
def test_any_prompt_is_checked(prompt: Any) -> None:
    """Nothing is raised, what ComfyUI refuses has a problem, and each of its own errors is told once, by its type."""
    found = check(prompt, CATALOG, AssumeFiles())
    assert found.valid <= found.verdict.accepted
    if found.verdict.status != 500 and found.verdict.error is None:
        ours = sorted((p.node_id, p.comfyui_type) for p in found.problems if p.comfyui_type)
        theirs = [
            (node_id, error["type"])
            for node_id, entry in found.verdict.node_errors.items()
            for error in entry["errors"]
        ]  # type: ignore[index,union-attr,call-overload]
        assert ours == sorted(theirs)
