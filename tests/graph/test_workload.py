"""What a prompt weighs."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.graph.prompts import empty, link, node, sampled, saved
from tests.graph.test_prompt import JSON
from worker.graph.catalog import Catalog
from worker.graph.prompt import Prompt
from worker.graph.workload import BENCHMARK, CEILING, FLOOR, workload

CATALOG = Catalog.bundled()


def advanced(sigmas: Any = None, **changed: Any) -> Prompt:
    """A prompt with one sampler given by class and inputs, on a 512x512 latent."""
    inputs: dict[str, Any] = {"model": link("4"), "latent_image": link("5")} | changed
    if sigmas:
        inputs["sigmas"] = link("7")
    prompt = sampled() | {"3": node(inputs.pop("class_type", "SomebodysSampler"), **inputs)}
    return prompt | {"7": sigmas} if sigmas else prompt


def test_the_benchmark_weighs_100() -> None:
    """20 steps at 512x512, one image, with and without a catalog."""
    assert workload(sampled()) == workload(sampled(), CATALOG) == BENCHMARK


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (sampled(steps=40), 200),
        (sampled(width=1024), 200),
        (sampled(batch_size=3), 300),
        (sampled(length=81), 8100),
        (sampled(steps="10"), 50),
        (sampled() | {"10": node("KSampler", latent_image=link("3"), steps=5), "11": saved("10")}, 125),
        (advanced(steps=20, start_at_step=5, end_at_step=15), 50),
        (advanced(steps=20, start_at_step=15, end_at_step=10000), 25),
        (advanced(steps=30, steps_to_run=-1), 150),
        (advanced(steps=30, steps_to_run=10), 50),
        (advanced(num_inference_steps=10), 50),
        (advanced(node("BasicScheduler", model=link("4"), steps=12)), 60),
        (advanced(node("BasicScheduler", model=link("4"), steps=12), steps=99), 60),
        (advanced(node("ManualSigmas", sigmas="1.0, 0.5, 0.25, 0")), 15),
        ({"1": empty(width=4096, height=4096), "2": saved()}, FLOOR),
        ({}, FLOOR),
        (sampled(steps=10**9, width=10**9, height=10**9, batch_size=10**9), CEILING),
    ],
)
def test_samplers_count_steps_times_pixels(prompt: Prompt, expected: float) -> None:
    """Steps, sizes, batches and frames multiply, samplers add up, and their own ranges are cut out."""
    assert workload(prompt) == pytest.approx(expected)


def test_sigmas_are_followed_to_their_scheduler() -> None:
    """Nodes that rescale or split sigmas lie between; each half of a split counts its own steps."""
    scheduler = node("BasicScheduler", model=link("4"), steps=20)
    rescale = advanced(node("Sigmas Rescale", start=1.0, end=0.0, sigmas=link("0"))) | {"0": scheduler}
    assert workload(rescale) == BENCHMARK
    split = advanced(node("SplitSigmas", step=5, sigmas=link("0"))) | {"0": scheduler}
    assert workload(split) == pytest.approx(25)
    split["3"]["inputs"]["sigmas"] = link("7", 1)
    assert workload(split) == pytest.approx(75)


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        (node("LatentUpscaleBy", samples=link("5"), scale_by=2.0), 400),
        (node("LatentUpscale", samples=link("5"), width=1024, height=512), 200),
        (node("RepeatLatentBatch", samples=link("5"), amount=4), 400),
        (node("LatentFromBatch", samples=link("5"), batch_index=0, length=2), 200),
        (node("VAEEncode", pixels=link("0"), vae=link("4", 2)), 400),
        (node("Switch", any_01=link("5")), 100),
        (node("EmptyLatentImage", width=link("n"), height=512, batch_size=1), 200),
        (node("EmptyLatentImage", width=link("g"), height=link("g", 1), batch_size=1), 400),
        (node("EmptyLatentAudio", seconds=32.0), 200),
        (node("NobodyKnows"), 400),
    ],
)
def test_sizes_are_followed_to_their_source(between: Any, expected: float) -> None:
    """Upscales, batches, switches, numbers of other nodes and uploads (taken for 1024x1024) decide the size."""
    prompt = advanced(steps=20, latent_image=link("b")) | {"b": between, "0": node("LoadImage", image="a.png")}
    prompt |= {"n": node("PrimitiveInt", value=1024), "g": node("GetImageSize", image=link("0"))}
    assert workload(prompt) == pytest.approx(expected)


def test_an_upscale_model_says_its_factor_in_its_name() -> None:
    """An image of 512x512 upscaled by a 2x model is four times the work."""
    prompt = advanced(steps=20, latent_image=link("e")) | {
        "0": empty(width=512, height=512),
        "m": node("UpscaleModelLoader", model_name="RealESRGAN_x2.pth"),
        "u": node("ImageUpscaleWithModel", upscale_model=link("m"), image=link("0")),
        "e": node("VAEEncode", pixels=link("u"), vae=link("4", 2)),
    }
    assert workload(prompt) == pytest.approx(400)


def test_a_catalog_tells_what_does_not_run_here() -> None:
    """Samplers that no output needs, and nodes that work at another company, count nothing."""
    idle = sampled() | {"20": node("KSampler", model=link("4"), latent_image=link("5"), steps=20)}
    assert (workload(idle), workload(idle, CATALOG)) == (200, 100)
    remote = {"0": empty(), "1": node("FluxProFillNode", image=link("0"), steps=50), "2": saved()}
    assert (workload(remote) > FLOOR, workload(remote, CATALOG)) == (True, FLOOR)


@settings(deadline=None)  # the machine is shared
@given(
    st.integers(1, 500), st.integers(1, 8192), st.integers(1, 8192), st.integers(1, 64), st.integers(1, 400), st.data()
)
def test_more_is_never_less(steps: int, width: int, height: int, batch: int, frames: int, data: st.DataObject) -> None:
    """The weight grows with steps, width, height, batch and frames, also through an upscale and a second sampler."""
    sizes = {"steps": steps, "width": width, "height": height, "batch_size": batch, "length": frames}
    more = dict(sizes)
    more[data.draw(st.sampled_from(sorted(sizes)))] += data.draw(st.integers(1, 1000))
    extra = {
        "u": node("LatentUpscaleBy", samples=link("3"), scale_by=1.5),
        "k": node("KSamplerAdvanced", latent_image=link("u"), start_at_step=3, end_at_step=40),
    }

    def weigh(values: dict[str, int]) -> float:
        prompt = sampled(**values) | copy.deepcopy(extra)
        prompt["k"]["inputs"]["steps"] = values["steps"]
        return workload(prompt)

    assert FLOOR <= weigh(sizes) <= weigh(more) <= CEILING


NAMES = ["steps", "width", "height", "length", "sigmas", "latent_image", "samples", "image", "upscale_model", "step"]
LINKS = st.tuples(st.sampled_from(["1", "2", "3", "9"]), st.integers(-1, 2)).map(list)


@settings(deadline=None)  # the machine is shared
@given(
    st.dictionaries(
        st.sampled_from(["1", "2", "3", "4"]),
        st.fixed_dictionaries(
            {
                "class_type": st.sampled_from(["KSampler", "SaveImage", "RepeatLatentBatch", "Odd", "LoadVideo"]),
                "inputs": st.dictionaries(st.sampled_from(NAMES), LINKS | JSON, max_size=8),
            }
        ),
    )
)
def test_no_prompt_is_too_odd_to_weigh(prompt: Any) -> None:
    """Whatever values and links there are, cycles among them, the weight is a number within its bounds."""
    assert FLOOR <= workload(prompt) <= CEILING
    assert FLOOR <= workload(prompt, CATALOG) <= CEILING


def test_wild_graphs_are_weighed() -> None:
    """Long chains and lattices, where following every path would never end, come to an end."""
    lattice: Prompt = {"0": node("BasicScheduler", steps=20)}
    for i in range(1, 1500):
        lattice[str(i)] = node("Join", sigmas_1=link(str(i - 1)), sigmas_2=link(str(i - 1)), latent=link(str(i - 1)))
    assert FLOOR <= workload(lattice | {"s": node("X", sigmas=link("1499"), latent_image=link("1499"))}) <= CEILING
