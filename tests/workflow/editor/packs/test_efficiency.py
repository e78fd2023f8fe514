"""Efficiency's seeds, and files of its first version."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.workflow_builder import CLASSES, WorkflowBuilder, node_class
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor import Conversion, convert

SAMPLER, HIGHRES, LOADER = "KSampler (Efficient)", "HighRes-Fix Script", "Efficient Loader"
SEED = ["INT", {"default": 0, "min": 0, "max": 2**64 - 1}]
CATALOG = Catalog.from_object_info(
    {
        **CLASSES,
        SAMPLER: node_class({"seed": SEED, "steps": ["INT", {"default": 20}], "vae_decode": [["true", "false"]]}),
        "KSampler Adv. (Efficient)": node_class({"noise_seed": SEED}),
        "Noise Control Script": node_class({"seed": ["INT", {"min": 5, "max": 9}]}),
        HIGHRES: node_class(
            {
                "upscale_type": [["latent", "pixel", "both"]],
                "latent_upscaler": [["nearest", "city96.v1"]],
                "upscale_by": ["FLOAT", {"default": 1.25}],
                "seed": SEED,
                "hires_steps": ["INT", {"default": 12}],
                "denoise": ["FLOAT", {"default": 0.5}],
                "iterations": ["INT", {"default": 1}],
            }
        ),
        LOADER: node_class(
            {
                "positive": ["STRING", {}],
                "token_normalization": [["none", "mean"]],
                "weight_interpretation": [["comfy", "A1111"]],
                "width": ["INT", {}],
                "height": ["INT", {}],
                "batch_size": ["INT", {"default": 1}],
            }
        ),
    }
)


def converted(kind: str, values: Any, **more: Any) -> Conversion:
    drawing = WorkflowBuilder()
    drawing.node(1, kind, values, **more)
    return convert(drawing.saved(), CATALOG)


def given(kind: str, values: Any) -> Any:
    return converted(kind, values).prompt["1"]["inputs"]


@pytest.mark.parametrize(
    ("kind", "name", "low", "high"),
    [
        (SAMPLER, "seed", 0, 2**50),
        ("KSampler Adv. (Efficient)", "noise_seed", 0, 2**50),
        ("Noise Control Script", "seed", 5, 9),
    ],
)
def test_a_seed_of_minus_one_is_drawn_when_the_job_runs(kind: str, name: str, low: int, high: int) -> None:
    """The least seed stands in its place, every time the same, and the field is named with its limits."""
    conversion = converted(kind, [-1, None])
    assert conversion.prompt["1"]["inputs"][name] == low
    assert [(seed.node_id, seed.input, seed.min, seed.max) for seed in conversion.seeds] == [("1", name, low, high)]
    assert converted(kind, [-1, None]) == conversion


def test_other_seeds_stay() -> None:
    """The place behind a seed is a button's: `randomize` in old files says nothing."""
    conversion = converted(SAMPLER, [7, "randomize", 30, "true"])
    assert conversion.prompt["1"]["inputs"] == {"seed": 7, "steps": 30, "vae_decode": "true"}
    assert conversion.seeds == ()


def test_a_seed_that_is_linked_is_not_drawn() -> None:
    """Its own value counts for nothing."""
    drawing = WorkflowBuilder()
    drawing.node(1, SAMPLER, [-1, None, 30, "true"])
    drawing.node(2, "Number", [5, "fixed"])
    drawing.link(2, 0, 1, "seed", "INT", widget=True)
    conversion = convert(drawing.saved(), CATALOG)
    assert conversion.prompt["1"]["inputs"]["seed"] == ["2", 0]
    assert conversion.seeds == ()


def test_a_seed_inside_a_subgraph_and_a_muted_one() -> None:
    """Seeds are named by the node's path, and only those of nodes that run."""
    inside = WorkflowBuilder("s")
    inside.node(5, SAMPLER, [-1])
    drawing = WorkflowBuilder()
    drawing.definitions.append(inside)
    drawing.node(1, "s")
    drawing.node(2, SAMPLER, [-1], 2)
    assert [seed.node_id for seed in convert(drawing.saved(), CATALOG).seeds] == ["1:5"]


def test_a_sampler_of_the_first_version() -> None:
    """It had another field in front, and none for what is decoded."""
    assert given(SAMPLER, ["Sample", "x", "randomize", 30]) == {"seed": "x", "steps": 30, "vae_decode": "true"}
    assert given(SAMPLER, [7, None, 30, "false"])["vae_decode"] == "false"


def test_a_loader_of_the_first_version() -> None:
    """It had the sizes where two new fields are now."""
    sizes = {"width": 512, "height": 768, "batch_size": 2}
    weights = {"token_normalization": "none", "weight_interpretation": "comfy"}
    assert given(LOADER, ["a", 512, 768, 2]) == {"positive": "a", **weights, **sizes}
    new = given(LOADER, ["a", "mean", "A1111", 512, 768, 2])
    assert new == {"positive": "a", "token_normalization": "mean", "weight_interpretation": "A1111", **sizes}


def test_a_highres_script_of_the_first_version() -> None:
    """Its five values have names of their own today; the others are the class's."""
    sent = given(HIGHRES, ["SD-Latent-Upscaler.v1", 2, 10, 0.3, 3])
    assert sent == {
        "upscale_type": "latent",
        "latent_upscaler": "city96.v1",
        "upscale_by": 2,
        "seed": 0,
        "hires_steps": 10,
        "denoise": 0.3,
        "iterations": 3,
    }
    assert given(HIGHRES, ["pixel", "nearest", 2, 5, None, 10, 0.3, 3])["upscale_type"] == "pixel"
