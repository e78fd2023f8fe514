"""Verdicts on prompts. `tests/conformance/test_verdicts.py` compares them with a real ComfyUI."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflow.prompts import empty, link, node, sampled, saved
from tests.workflow.test_prompt import JSON
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.validation.file_check import AssumeFiles
from worker.workflow.validation.validate import Verdict, validate

CATALOG = Catalog.bundled()


def errors_of(verdict: Verdict, node_id: str = "1") -> list[Any]:
    entry: Any = verdict.node_errors[node_id]
    return [(error["type"], error["details"]) for error in entry["errors"]]


def test_a_valid_prompt_is_accepted() -> None:
    """The verdict has the output nodes in the order of the prompt, and no errors."""
    prompt = sampled() | {"10": node("PreviewImage", images=link("8"))}
    verdict = validate(prompt, CATALOG, AssumeFiles())
    assert (verdict.status, verdict.error, verdict.node_errors, verdict.outputs) == (200, None, {}, ("9", "10"))
    assert verdict.accepted


@pytest.mark.parametrize(
    "prompt",
    [
        None,
        "x",
        5,
        [],
        {"1": None},
        {"1": "x"},
        {"1": {"class_type": "EmptyImage", "inputs": None}},
        {"1": {"class_type": "EmptyImage", "inputs": []}},
        {"1": {"class_type": ["EmptyImage"]}},
        {"1": {"class_type": "Nope", "inputs": {}, "_meta": None}},
        {"1": {"class_type": "T2IAdapterLoader", "inputs": {"t2i_adapter_name": "x"}}},
        {"1": {"class_type": "T2IAdapterLoader", "inputs": {}, "_meta": {}}},
    ],
)
def test_malformed_prompts_are_500(prompt: object) -> None:
    """The server fails with an exception and without a body for these values."""
    verdict = validate(prompt, CATALOG)
    assert (verdict.status, verdict.error, verdict.accepted) == (500, None, False)


def test_validate_does_not_change_the_prompt() -> None:
    """Only the prompt of the verdict has converted values and replaced classes."""
    prompt = {"1": empty(width="64", height=64.7), "2": saved()}
    before = copy.deepcopy(prompt)
    verdict = validate(prompt, CATALOG)
    assert prompt == before
    assert verdict.prompt["1"]["inputs"] == {"width": 64, "height": 64, "batch_size": 1, "color": 0}


@pytest.mark.parametrize(
    ("width", "error"),
    [
        ("abc", ("invalid_input_type", "width, abc, invalid literal for int() with base 10: 'abc'")),
        (None, ("invalid_input_type", None)),
        ({"a": 1}, ("invalid_input_type", None)),
        (float("inf"), ("invalid_input_type", "width, inf, cannot convert float infinity to integer")),
        (0, ("value_smaller_than_min", "width")),
        (16385, ("value_bigger_than_max", "width")),
        (["1"], ("bad_linked_input", "width")),
        ({"__value__": 64}, None),
        ({"__value__": [64]}, ("invalid_input_type", None)),
        (True, None),
    ],
)
def test_numbers_are_converted_and_compared_with_their_limits(width: Any, error: tuple[str, str | None] | None) -> None:
    """An INT accepts what int() accepts. `__value__` marks a list that is no link."""
    verdict = validate({"1": empty(width=width), "2": saved()}, CATALOG)
    if error is None:
        assert verdict.accepted
    else:
        ((kind, details),) = errors_of(verdict)
        assert kind == error[0]
        assert error[1] is None or details == error[1]


def test_file_inputs_accept_existing_files() -> None:
    """A model that is not listed is only valid if it exists in its folder."""

    class OneModel:
        def exists(self, folder: str, name: str) -> bool:
            return (folder, name) == ("checkpoints", "m.safetensors")

    assert validate(sampled(), CATALOG, OneModel()).accepted
    assert validate(sampled(), CATALOG.with_files({"checkpoints": ["m.safetensors"]})).accepted
    refused = validate(sampled(), CATALOG.with_files({"checkpoints": ["a.ckpt"], "loras": ["m.safetensors"]}))
    assert errors_of(refused, "4") == [("value_not_in_list", "ckpt_name: 'm.safetensors' not in ['a.ckpt']")]


def test_errors_omit_long_lists_of_choices() -> None:
    """Above 20 choices an error has their number and no configuration of the input."""
    verdict = validate(sampled() | {"3": sampled()["3"] | {"inputs": sampled()["3"]["inputs"] | {"sampler_name": 5}}},
                       CATALOG, AssumeFiles())  # fmt: skip
    entry: Any = verdict.node_errors["3"]
    assert errors_of(verdict, "3") == [("value_not_in_list", "sampler_name: 5 not in (list of length 63)")]
    assert entry["errors"][0]["extra_info"] == {
        "input_name": "sampler_name",
        "input_config": None,
        "received_value": 5,
    }
    assert entry["dependent_outputs"] == ["9"]


@pytest.mark.parametrize(
    ("source", "target", "fits"),
    [
        (node("PrimitiveInt", value=1), node("LTXVEmptyLatentAudio", frame_rate=link("1")), True),
        (node("PrimitiveFloat", value=1.0), node("LTXVEmptyLatentAudio", frame_rate=link("1")), True),
        (node("PrimitiveString", value="1"), node("LTXVEmptyLatentAudio", frame_rate=link("1")), False),
        (node("PrimitiveString", value="1"), node("PreviewAny", source=link("1")), True),
        (empty(), node("VHS_VideoCombine", images=link("1")), True),
        (node("EmptyLatentImage"), node("VHS_VideoCombine", images=link("1")), True),
        (node("EmptyLatentImage"), node("SaveImage", images=link("1")), False),
        (node("PrimitiveInt", value=1), node("VHS_VideoCombine", frame_rate=link("1")), True),
    ],
)
def test_types_of_links(source: Any, target: Any, fits: bool) -> None:
    """Alternatives (`FLOAT,INT`) must overlap, `*` accepts all, and VideoHelperSuite accepts undeclared types."""
    prompt = {"1": source, "2": target, "3": node("PreviewAny", source=link("2"))}
    entry: Any = validate(prompt, CATALOG, AssumeFiles()).node_errors.get("2", {"errors": []})
    assert ("return_type_mismatch" in [error["type"] for error in entry["errors"]]) is not fits


@pytest.mark.parametrize(
    ("bad_link", "details"),
    [
        (["77", 0], "'77'"),
        ([1, 0], "1"),
        (["1", 5], "tuple index out of range"),
        ([["1"], 0], None),
        (["1", "a"], None),
    ],
)
def test_broken_links_are_exceptions(bad_link: Any, details: str | None) -> None:
    """A link to a missing node or slot is reported as the exception of the server."""
    verdict = validate({"1": empty(), "2": node("SaveImage", images=bad_link, filename_prefix="x")}, CATALOG)
    ((kind, reported_details),) = errors_of(verdict, "2")
    assert (verdict.status, kind) == (400, "exception_during_validation")
    assert details is None or reported_details == details


def test_one_valid_output_is_enough() -> None:
    """The valid outputs of a prompt run, and the errors of the others are reported with status 200."""
    prompt = {"1": empty(), "2": saved(), "3": empty(width=0), "4": saved("3"), "5": saved("3")}
    verdict = validate(prompt, CATALOG)
    assert (verdict.status, verdict.outputs) == (200, ("2",))
    entry: Any = verdict.node_errors["3"]
    assert entry["dependent_outputs"] == ["4", "5"]


def test_only_needed_nodes_are_checked() -> None:
    """An invalid node that nothing uses is accepted, but an unknown class rejects the whole prompt."""
    good = {"1": empty(), "2": saved()}
    assert validate(good | {"9": empty(width=-5)}, CATALOG).accepted
    error: Any = validate(good | {"9": node("Nope")}, CATALOG).error
    assert error["type"] == "missing_node_type"
    assert error["extra_info"] == {"node_id": "9", "class_type": "Nope", "node_title": "Nope"}


@pytest.mark.parametrize(
    ("targets", "outputs"),
    [(None, ("2", "4")), (["4"], ("4",)), ("4", ("4",)), ([], None), (["1"], None), (["nope"], None)],
)
def test_partial_targets_select_outputs(targets: object, outputs: tuple[str, ...] | None) -> None:
    """Only the named outputs run. Without any, the prompt has no outputs."""
    verdict = validate({"1": empty(), "2": saved(), "4": saved()}, CATALOG, partial_targets=targets)
    if outputs is None:
        assert (verdict.status, verdict.error and verdict.error["type"]) == (400, "prompt_no_outputs")
    else:
        assert verdict.outputs == outputs


def test_malformed_partial_targets_are_500() -> None:
    """The server fails if partial_execution_targets is a number."""
    assert validate({"1": empty(), "2": saved()}, CATALOG, partial_targets=4).status == 500


def test_a_cycle_is_reported_for_each_of_its_nodes() -> None:
    """The error has the path of the cycle."""
    prompt = {"1": node("ImageInvert", image=link("3")), "3": node("ImageInvert", image=link("1")), "2": saved()}
    verdict = validate(prompt, CATALOG)
    path = "1 (ImageInvert) -> 3 (ImageInvert) -> 1 (ImageInvert)"
    assert (verdict.status, errors_of(verdict, "1"), errors_of(verdict, "3")) == (
        400,
        [("dependency_cycle", path)],
        [("dependency_cycle", path)],
    )


def test_an_old_class_is_replaced() -> None:
    """The replacement keeps the inputs that are carried over."""
    old = node("T2IAdapterLoader", t2i_adapter_name="a.pth", other=1)
    old["_meta"] = {"title": "mine"}
    verdict = validate({"1": old, "2": node("PreviewAny", source=link("1"))}, CATALOG, AssumeFiles())
    assert verdict.accepted
    assert verdict.prompt["1"] == {
        "class_type": "ControlNetLoader",
        "inputs": {"control_net_name": "a.pth"},
        "_meta": {"title": "mine"},
    }


def test_dynamic_inputs_have_full_names() -> None:
    """Inputs of the selected choice and the first member of an autogrow group are required."""
    batch = {"1": node("BatchImagesNode"), "2": saved()}
    assert errors_of(validate(batch, CATALOG)) == [("required_input_missing", "image0")]
    resize = {"0": empty(), "1": node("ResizeImageMaskNode", input=link("0"), scale_method="area"), "2": saved()}
    resize["1"]["inputs"]["resize_type"] = "scale by multiplier"
    assert errors_of(validate(resize, CATALOG)) == [("required_input_missing", "multiplier")]
    resize["1"]["inputs"]["resize_type.multiplier"] = 100.0
    assert errors_of(validate(resize, CATALOG)) == [("value_bigger_than_max", "resize_type.multiplier")]


def test_a_very_long_chain_is_rejected() -> None:
    """A chain that is too long is rejected without an exception, as by the server."""
    prompt = {"0": empty()} | {str(i): node("ImageInvert", image=link(str(i - 1))) for i in range(1, 3000)}
    assert validate(prompt | {"s": saved("400")}, CATALOG).accepted
    assert validate(prompt | {"s": saved("2999")}, CATALOG).status == 400


@settings(deadline=None)  # the machine is shared
@given(
    st.dictionaries(
        st.sampled_from(["1", "2", "3"]),
        st.fixed_dictionaries(
            {
                "class_type": st.sampled_from(["EmptyImage", "SaveImage", "LoadImage", "BatchImagesNode", "KSampler"]),
                "inputs": st.dictionaries(
                    st.sampled_from(["images", "image", "width", "images.image0", "sampler_name", "latent_image"]),
                    JSON | st.tuples(st.sampled_from(["1", "2", "3"]), st.integers(0, 2)).map(list),
                    max_size=6,
                ),
            }
        )
        | JSON,
        max_size=3,
    )
    | JSON
)
def test_validate_never_raises(value: Any) -> None:
    """Any JSON value gives a verdict, whatever files exist."""
    for files in (None, AssumeFiles()):
        verdict = validate(value, CATALOG, files)
        assert verdict.status in {200, 400, 500}
        assert (verdict.error is None) == (verdict.status != 400)
