"""Problems made from validation errors."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflow.prompts import empty, link, node, sampled, saved
from tests.workflow.test_prompt import JSON
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt
from worker.workflow.validation.explain import Problem, explain
from worker.workflow.validation.file_check import AssumeFiles
from worker.workflow.validation.validate import validate

CATALOG = Catalog.bundled().with_files({"checkpoints": ["sdxl/base.safetensors"], "input": ["cat.png"]})


class NoUploads:
    """A machine that only has the files in its catalog."""

    def exists(self, folder: str, name: str) -> bool:
        return False


def problems(prompt: Prompt, catalog: Catalog | None = CATALOG) -> tuple[Problem, ...]:
    verdict = validate(prompt, CATALOG, NoUploads())
    return explain(verdict.error, verdict.node_errors, verdict.prompt, catalog)


def sampler(**changed: Any) -> Prompt:
    prompt = sampled()
    prompt["3"]["inputs"] = {**prompt["3"]["inputs"], **changed}
    prompt["4"]["inputs"]["ckpt_name"] = "sdxl/base.safetensors"
    return prompt


def test_a_problem_has_node_and_input() -> None:
    """A problem has the node, its title, the class, the input and ComfyUI's type."""
    prompt = {"1": empty(width=0), "2": saved()}
    prompt["1"]["_meta"] = {"title": "Canvas"}
    assert problems(prompt) == (
        Problem(
            node_id="1",
            node_title="Canvas",
            class_type="EmptyImage",
            input="width",
            message="Value 0 smaller than min of 1: width",
            suggestion="Use a value from 1 to 16384.",
            comfyui_type="value_smaller_than_min",
            expected="INT from 1 to 16384",
            kind="value_smaller_than_min",
        ),
    )


@pytest.mark.parametrize(
    ("prompt", "suggestion"),
    [
        (sampler(sampler_name="euler_ancestrl"), "Did you mean 'euler_ancestral'?"),
        (sampler(scheduler="Karas"), "Did you mean 'karras'?"),
        (sampled() | {"4": node("CheckpointLoaderSimple", ckpt_name="base.safetensor")},
         "Did you mean 'sdxl/base.safetensors'?"),
        ({"1": node("LoadImage", image="catt.png"), "2": saved()}, "Did you mean 'cat.png'?"),
        ({"1": node("EmptyImag"), "2": saved()}, "Did you mean 'EmptyImage'?"),
        ({"1": empty()}, "Add a node that saves or previews something, such as SaveImage."),
        ({"2": saved("77")}, "Link 'images' to an existing node. There is no node '77'."),
        ({"1": empty(), "2": node("SaveImage", images=[1, 0], filename_prefix="x")},
         "Write the node id in the link of 'images' as a string: '1'."),
        ({"1": node("EmptyImage", width=1, height=1, batch_size=1, colour=0), "2": saved()},
         "Rename the input 'colour' if it is meant to be 'color'."),
        ({"1": node("EmptyImage", width=1, height=1, color=0), "2": saved()}, "The default is 1."),
        ({"1": node("ImageInvert"), "2": saved()}, "Link an output of type IMAGE."),
    ],
)  # fmt: skip
def test_each_error_has_a_suggestion(prompt: Prompt, suggestion: str) -> None:
    """Each kind of error has a suggestion for its fix."""
    assert [problem.suggestion for problem in problems(prompt)] == [suggestion]


def test_choices_of_the_error_take_precedence() -> None:
    """An error with up to 20 choices needs no catalog."""
    prompt: Prompt = {"1": empty(), "3": node("ImageScale", image=link("1"), upscale_method="lancos"), "2": saved("3")}
    prompt["3"]["inputs"] |= {"width": 1, "height": 1, "crop": "disabled"}
    assert [problem.suggestion for problem in problems(prompt, None)] == ["Did you mean 'lanczos'?"]


def test_errors_without_input_or_node_are_reported() -> None:
    """Errors without an input or a node become problems without one."""
    cycle = {"1": node("ImageInvert", image=link("1")), "2": saved()}
    (problem,) = problems(cycle)
    assert (problem.node_id, problem.input, problem.comfyui_type) == ("1", None, "dependency_cycle")
    (problem,) = explain({"type": "prompt_outputs_failed_validation", "message": "Failed"}, {}, cycle)
    assert (problem.node_id, problem.message) == (None, "Failed")


def test_an_accepted_prompt_has_no_problems() -> None:
    """A partly valid prompt has the problems of its rejected outputs."""
    assert problems({"1": empty(), "2": saved()}) == ()
    partly = {"1": empty(), "2": saved(), "3": empty(width=0), "4": saved("3")}
    assert [problem.node_id for problem in problems(partly)] == ["3"]


@settings(deadline=None)  # the machine is shared
@given(
    st.none() | st.dictionaries(st.sampled_from(["type", "message", "details", "extra_info"]), JSON),
    st.dictionaries(
        st.sampled_from(["1", "2", "77"]),
        JSON
        | st.fixed_dictionaries(
            {
                "errors": st.lists(
                    st.fixed_dictionaries(
                        {
                            "type": st.sampled_from(["value_not_in_list", "value_bigger_than_max"])
                            | st.sampled_from(["required_input_missing", "exception_during_validation"]),
                            "extra_info": st.dictionaries(
                                st.sampled_from(["input_name", "input_config", "received_value"]),
                                JSON | st.sampled_from(["width", "images"]),
                            ),
                        }
                    )
                    | JSON,
                    max_size=3,
                )
            }
        ),
    ),
)
def test_explain_never_raises(error: Any, node_errors: Any) -> None:
    """Any response of an engine gives problems and no exception."""
    prompt = {"1": empty(width="a"), "2": saved()}
    reported = explain(error, node_errors, prompt, CATALOG)
    assert reported or error is None


def test_many_problems_are_explained_quickly() -> None:
    """The search for similar names stops after the first 50 problems."""
    catalog = CATALOG.with_files({"checkpoints": [f"model-{i:05}-of-a-long-list.safetensors" for i in range(5000)]})
    prompt: Prompt = {}
    for i in range(300):
        prompt |= {
            f"{i}": node("CheckpointLoaderSimple", ckpt_name=f"x{i}"),
            f"s{i}": node("PreviewAny", source=[f"{i}", 0]),
        }
    verdict = validate(prompt, catalog)
    start = time.perf_counter()
    assert len(explain(verdict.error, verdict.node_errors, prompt, catalog)) == 300
    assert time.perf_counter() - start < 10


def test_the_benchmark_prompt_has_no_problems() -> None:
    """The benchmark prompt is valid if its files exist."""
    verdict = validate(sampled(), CATALOG, AssumeFiles())
    assert explain(verdict.error, verdict.node_errors, verdict.prompt, CATALOG) == ()
