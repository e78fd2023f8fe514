"""Classes that behave differently from their catalog entry."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.prompts import empty, link, node
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.validation.validate import validate


def entry(inputs: Any, *outputs: str) -> Any:
    return {"input": inputs, "output": [*outputs], "output_name": [*outputs], "output_node": False}


CATALOG = Catalog.bundled().with_classes(
    {
        "ImpactInversedSwitch": entry({"required": {}}, "*"),
        "ImageBatchSplitter //Inspire": entry({"required": {}}, "IMAGE"),
        "Power Puter (rgthree)": entry({"required": {}}, "STRING"),
        "Twice": entry({"required": {"a": ["INT", {}]}, "optional": {"a": ["INT", {}], "b": ["INT", {}]}}, "INT"),
        "easy showAnythingLazy": {**entry({"required": {}}, "*"), "output_node": True},
    }
)


def kinds(source: Any, target: Any | None = None) -> list[str]:
    """Return the error types of both nodes."""
    target = target or node("PreviewAny", source=link("1"))
    errors: Any = validate({"0": empty(), "1": source, "2": target}, CATALOG).node_errors
    return [error["type"] for entry in errors.values() for error in entry["errors"]]


def test_choices_in_a_tuple_are_not_checked() -> None:
    """Any value is valid, because the server only checks lists."""
    values = {"noise_seed": 1, "steps": 1}
    for name in ("LatentNoised.noise_type", "AdvancedNoise.noise_type"):
        class_type, _, choice = name.partition(".")
        reported = kinds(node(class_type, **{choice: "no such", **values}))
        assert "value_not_in_list" not in reported


@pytest.mark.parametrize(
    ("name", "expected"),
    [("res_2m", []), ("multistep/res_2m", []), ("other/res_2m", []), ("no such", ["value_not_in_list"])],
)
def test_samplers_are_valid_without_their_group(name: str, expected: list[str]) -> None:
    """The part before the slash may be missing or different. A value that is no text raises an exception."""
    assert kinds(node("ClownSamplerSelector_Beta", sampler_name=name)) == expected
    assert kinds(node("ClownSamplerSelector_Beta", sampler_name=5)) == ["exception_during_inner_validation"]


def test_undeclared_slots_of_some_classes_are_valid() -> None:
    """Some classes have any number of slots, of the type of the first one or of any type."""
    takes_latent = node("VAEDecode", samples=link("1", 7), vae=link("1", 7))
    shown = node("SaveImage", images=link("1", 3), filename_prefix="x")
    assert kinds(node("ImageBatchSplitter //Inspire"), shown) == []
    assert kinds(node("Power Puter (rgthree)"), shown) == []
    assert kinds(node("Power Puter (rgthree)"), node("SaveImage", images=link("1"), filename_prefix="x"))
    errors: Any = validate(
        {"1": node("ImpactInversedSwitch"), "3": takes_latent, "2": node("PreviewAny", source=link("3"))}, CATALOG
    )
    assert errors.accepted


def test_an_input_that_is_required_and_optional_is_required() -> None:
    """The required input takes precedence."""
    assert kinds(node("Twice")) == ["required_input_missing"]


def test_a_class_with_a_copied_entry() -> None:
    """The class is no output node, although its entry says so, and none of its nodes is valid."""
    alone = validate({"1": node("easy showAnythingLazy")}, CATALOG)
    assert alone.error is not None
    assert alone.error["type"] == "prompt_no_outputs"
    assert kinds(node("easy showAnythingLazy")) == ["exception_during_inner_validation"]
