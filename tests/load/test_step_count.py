"""The steps that samplers run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.load.works import sampler, with_sampler, works
from tests.workflow.prompts import link, node, sampled
from worker.load.node_work import NodeKind
from worker.workflow.prompt import Prompt

SCHEDULER = node("BasicScheduler", model=link("4"), steps=20, denoise=1.0)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (sampled(steps=40), 40),
        (sampled(steps="10"), 10),
        (with_sampler(steps=20, denoise=0.5), 20),
        (with_sampler(steps=20, denoise=0.0), 0),
        (with_sampler(steps=20, start_at_step=5, end_at_step=15), 10),
        (with_sampler(steps=20, start_at_step=15, end_at_step=10000), 5),
        (with_sampler(steps=20, start_at_step=30), 0),
        (with_sampler(steps=30, steps_to_run=-1), 30),
        (with_sampler(steps=30, steps_to_run=10), 10),
        (with_sampler(num_inference_steps=10), 10),
        (with_sampler(steps=672506787611121), 10_000),
        (with_sampler(node("BasicScheduler", model=link("4"), steps=12)), 12),
        (with_sampler(node("BasicScheduler", model=link("4"), steps=12, denoise=0.3)), 12),
        (with_sampler(node("BasicScheduler", model=link("4"), steps=12, denoise=0.0)), 0),
        (with_sampler(node("AlignYourStepsScheduler", model_type="SDXL", steps=20, denoise=0.25)), 5),
        (with_sampler(node("BasicScheduler", model=link("4"), steps=12), steps=99), 12),
        (with_sampler(node("ManualSigmas", sigmas="1.0, 0.5, 0.25, 0")), 3),
    ],
)
def test_steps_come_from_the_sampler_or_its_sigmas(prompt: Prompt, expected: float) -> None:
    """Steps count as given, whatever the denoise, and ranges of steps are applied."""
    work = sampler(prompt)
    assert work.steps == pytest.approx(expected)
    assert (work.tflop > 0) == (expected > 0)


@pytest.mark.parametrize(
    ("between", "slot", "expected"),
    [
        (node("Sigmas Rescale", start=1.0, end=0.0, sigmas=link("0")), 0, 20),
        (node("SplitSigmas", step=5, sigmas=link("0")), 0, 5),
        (node("SplitSigmas", step=5, sigmas=link("0")), 1, 15),
        (node("SplitSigmasDenoise", denoise=0.3, sigmas=link("0")), 0, 14),
        (node("SplitSigmasDenoise", denoise=0.3, sigmas=link("0")), 1, 6),
        (node("Sigmas Concat", sigmas_1=link("0"), sigmas_2=link("0")), 0, 40),
        (node("ExtendIntermediateSigmas", sigmas=link("0"), steps=2), 0, 40),
    ],
)
def test_sigmas_are_followed_to_their_scheduler(between: Any, slot: int, expected: float) -> None:
    """Steps come from the scheduler behind nodes that rescale, split, join or extend sigmas."""
    prompt = with_sampler(between) | {"0": SCHEDULER}
    prompt["3"]["inputs"]["sigmas"] = link("7", slot)
    assert sampler(prompt).steps == pytest.approx(expected)


@pytest.mark.parametrize(
    "inputs",
    [{"steps": link("99")}, {"sigmas": link("99")}, {"sigmas": link("0")}, {"how_long": 5}],
)
def test_an_unknown_sampler_counts_20_steps(inputs: dict[str, Any]) -> None:
    """A node with a model and a latent counts 20 steps if its steps are not known."""
    prompt = with_sampler() | {"0": node("NobodysSigmas", strength=1.0)}
    prompt["3"]["inputs"] |= inputs
    assert sampler(prompt).steps == 20


def test_chain_samplers_continue_the_steps_of_the_sampler_before() -> None:
    """RES4LYF's chain samplers run the steps that are left, with the model of the first sampler."""
    prompt = with_sampler(class_type="ClownsharKSampler_Beta", steps=30, steps_to_run=10, cfg=1.0)
    prompt["c"] = node("ClownsharkChainsampler_Beta", latent_image=link("3"), steps_to_run=5, cfg=1.0)
    prompt["d"] = node("ClownsharkChainsampler_Beta", latent_image=link("c"), steps_to_run=-1, cfg=1.0)
    samplers = works(prompt, NodeKind.SAMPLER)
    assert [each.steps for each in samplers] == [10, 5, 15]
    assert {each.models for each in samplers} == {("m.safetensors",)}


def test_a_second_pass_counts_for_itself() -> None:
    """A high-resolution pass after an upscale of the latent works on the larger picture."""
    prompt = sampled() | {
        "u": node("LatentUpscaleBy", samples=link("3"), scale_by=2.0),
        "k": node("KSampler", model=link("4"), positive=link("6"), negative=link("6"), latent_image=link("u"), cfg=7.0),
    }
    prompt["k"]["inputs"]["steps"] = 20
    first, second = works(prompt, NodeKind.SAMPLER)
    assert second.tflop > 4 * first.tflop
