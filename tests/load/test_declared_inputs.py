"""Inputs that the class of a node does not have, which ComfyUI ignores."""

from __future__ import annotations

from typing import Any

import pytest

from tests.load.works import SHIPPED
from tests.workflow.prompts import link, node
from worker.load.features.declared_inputs import with_declared_inputs
from worker.load.work import job_work
from worker.load.workload import workload
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.prompt import Prompt

CATALOG = bundled_catalog()


def inverted(**more: Any) -> Prompt:
    """Return a prompt that inverts a small picture, in a node with further inputs."""
    return {
        "1": node("EmptyImage", width=64, height=64, batch_size=1, color=0),
        "2": node("ImageInvert", image=link("1"), **more),
        "3": node("SaveImage", images=link("2"), filename_prefix="x"),
    }


@pytest.mark.parametrize(
    "more",
    [
        {"steps": 10_000},
        {"steps": 10_000, "sigmas": "1 0", "sampler_name": "res_16s"},
        {"width": 16_384, "height": 16_384, "length": 1000},
        {"scale_by": 1000.0},
        {"ckpt_name": "flux2-dev.safetensors"},
    ],
)
def test_an_input_that_the_class_does_not_have_costs_nothing(more: dict[str, Any]) -> None:
    """A node is not larger for values that ComfyUI drops, and has the same kind and shape."""
    plain, other = job_work(inverted(), CATALOG), job_work(inverted(**more), CATALOG)
    assert other.nodes == plain.nodes
    assert workload(inverted(**more), CATALOG) == other.units == plain.units


def test_such_an_input_tells_results_apart() -> None:
    """Two nodes that differ in such an input have different results in ComfyUI's cache."""
    one, other = (job_work(inverted(steps=steps), CATALOG).ancestry for steps in (1, 2))
    assert one["1"] == other["1"]
    assert one["2"] != other["2"]


def test_inputs_that_depend_on_values_stay() -> None:
    """Inputs of the selected choice of a dynamic combo, links, and inputs of unknown classes stay."""
    prompt: Prompt = {
        "1": node("EmptyImage", width=64, height=64, batch_size=1, color=0),
        "2": node(
            "ResizeImageMaskNode",
            input=link("1"),
            resize_type="scale by multiplier",
            scale_method="area",
            **{"resize_type.multiplier": 4.0},
        ),
        "3": node("FromAPackThatIsMissing", steps=7, model=link("1")),
        "4": node("SaveImage", images=link("2"), filename_prefix="x", other=link("1")),
    }
    assert with_declared_inputs(prompt, CATALOG) is prompt
    assert all(with_declared_inputs(shipped, CATALOG) is shipped for shipped in SHIPPED.values())
    assert with_declared_inputs(inverted(steps=1), None) == inverted(steps=1)
