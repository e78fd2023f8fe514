"""Tests of the rules of Efficiency."""

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


def convert_node(kind: str, values: Any, **more: Any) -> Conversion:
    """Return the conversion of a workflow with a single node."""
    builder = WorkflowBuilder()
    builder.node(1, kind, values, **more)
    return convert(builder.saved(), CATALOG)


def node_inputs(kind: str, values: Any) -> Any:
    """Return the inputs of a single node."""
    return convert_node(kind, values).prompt["1"]["inputs"]


@pytest.mark.parametrize(
    ("kind", "name", "low", "high"),
    [
        (SAMPLER, "seed", 0, 2**50),
        ("KSampler Adv. (Efficient)", "noise_seed", 0, 2**50),
        ("Noise Control Script", "seed", 5, 9),
    ],
)
def test_a_seed_of_minus_one_is_drawn_when_the_job_runs(kind: str, name: str, low: int, high: int) -> None:
    """convert sends the lowest seed in place of -1 and lists the field with its limits."""
    conversion = convert_node(kind, [-1, None])
    assert conversion.prompt["1"]["inputs"][name] == low
    assert [(seed.node_id, seed.input, seed.min, seed.max) for seed in conversion.seeds] == [("1", name, low, high)]
    assert convert_node(kind, [-1, None]) == conversion


def test_other_seeds_stay() -> None:
    """convert keeps other seeds and ignores the value behind them, which is a button."""
    conversion = convert_node(SAMPLER, [7, "randomize", 30, "true"])
    assert conversion.prompt["1"]["inputs"] == {"seed": 7, "steps": 30, "vae_decode": "true"}
    assert conversion.seeds == ()


def test_a_linked_seed_is_not_drawn() -> None:
    """convert lists no seed for a field that is linked."""
    builder = WorkflowBuilder()
    builder.node(1, SAMPLER, [-1, None, 30, "true"])
    builder.node(2, "Number", [5, "fixed"])
    builder.link(2, 0, 1, "seed", "INT", widget=True)
    conversion = convert(builder.saved(), CATALOG)
    assert conversion.prompt["1"]["inputs"]["seed"] == ["2", 0]
    assert conversion.seeds == ()


def test_seeds_in_subgraphs_and_muted_nodes() -> None:
    """convert lists seeds by the path of their node, and none of a muted node."""
    inside = WorkflowBuilder("s")
    inside.node(5, SAMPLER, [-1])
    builder = WorkflowBuilder()
    builder.definitions.append(inside)
    builder.node(1, "s")
    builder.node(2, SAMPLER, [-1], 2)
    assert [seed.node_id for seed in convert(builder.saved(), CATALOG).seeds] == ["1:5"]


def test_a_sampler_of_the_first_version() -> None:
    """convert shifts the values of a sampler from the first version, which had one more field at the start."""
    assert node_inputs(SAMPLER, ["Sample", "x", "randomize", 30]) == {"seed": "x", "steps": 30, "vae_decode": "true"}
    assert node_inputs(SAMPLER, [7, None, 30, "false"])["vae_decode"] == "false"


def test_a_loader_of_the_first_version() -> None:
    """convert shifts the values of a loader from the first version, which lacked two fields."""
    sizes = {"width": 512, "height": 768, "batch_size": 2}
    weights = {"token_normalization": "none", "weight_interpretation": "comfy"}
    assert node_inputs(LOADER, ["a", 512, 768, 2]) == {"positive": "a", **weights, **sizes}
    new = node_inputs(LOADER, ["a", "mean", "A1111", 512, 768, 2])
    assert new == {"positive": "a", "token_normalization": "mean", "weight_interpretation": "A1111", **sizes}


def test_a_highres_script_of_the_first_version() -> None:
    """convert assigns the five values of a HighRes-Fix Script from the first version by name."""
    sent = node_inputs(HIGHRES, ["SD-Latent-Upscaler.v1", 2, 10, 0.3, 3])
    assert sent == {
        "upscale_type": "latent",
        "latent_upscaler": "city96.v1",
        "upscale_by": 2,
        "seed": 0,
        "hires_steps": 10,
        "denoise": 0.3,
        "iterations": 3,
    }
    assert node_inputs(HIGHRES, ["pixel", "nearest", 2, 5, None, 10, 0.3, 3])["upscale_type"] == "pixel"
