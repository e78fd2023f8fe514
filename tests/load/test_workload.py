"""The estimated workload of prompts."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflow.prompts import empty, link, node, sampled, saved
from tests.workflow.test_prompt import JSON
from worker.load.workload import BENCHMARK, CEILING, FLOOR, passes, workload
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

CATALOG = Catalog.bundled()


def with_sampler(sigmas: Any = None, **changed: Any) -> Prompt:
    """Return a prompt with one sampler of this class and these inputs, on a latent of 512x512."""
    inputs: dict[str, Any] = {"model": link("4"), "latent_image": link("5")} | changed
    if sigmas:
        inputs["sigmas"] = link("7")
    prompt = sampled() | {"3": node(inputs.pop("class_type", "SomebodysSampler"), **inputs)}
    return prompt | {"7": sigmas} if sigmas else prompt


def test_the_benchmark_has_a_workload_of_100() -> None:
    """The benchmark (20 steps, one image of 512x512) has a workload of 100, with and without a catalog."""
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
        (with_sampler(steps=20, start_at_step=5, end_at_step=15), 50),
        (with_sampler(steps=20, start_at_step=15, end_at_step=10000), 25),
        (with_sampler(steps=30, steps_to_run=-1), 150),
        (with_sampler(steps=30, steps_to_run=10), 50),
        (with_sampler(num_inference_steps=10), 50),
        (with_sampler(node("BasicScheduler", model=link("4"), steps=12)), 60),
        (with_sampler(node("BasicScheduler", model=link("4"), steps=12), steps=99), 60),
        (with_sampler(node("ManualSigmas", sigmas="1.0, 0.5, 0.25, 0")), 15),
        ({"1": empty(width=4096, height=4096), "2": saved()}, FLOOR),
        ({}, FLOOR),
        (sampled(steps=10**9, width=10**9, height=10**9, batch_size=10**9), CEILING),
    ],
)
def test_workload_is_steps_times_pixels(prompt: Prompt, expected: float) -> None:
    """Steps, sizes, batches and frames multiply, samplers add up, and ranges of steps are applied."""
    assert workload(prompt) == pytest.approx(expected)


def test_sigmas_are_followed_to_their_scheduler() -> None:
    """Steps come from the scheduler behind nodes that rescale or split sigmas.

    Each half of a split counts its own steps.
    """
    scheduler = node("BasicScheduler", model=link("4"), steps=20)
    rescale = with_sampler(node("Sigmas Rescale", start=1.0, end=0.0, sigmas=link("0"))) | {"0": scheduler}
    assert workload(rescale) == BENCHMARK
    split = with_sampler(node("SplitSigmas", step=5, sigmas=link("0"))) | {"0": scheduler}
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
    """Sizes come from upscales, batches, switches, linked numbers, and uploads, which count as 1024x1024."""
    prompt = with_sampler(steps=20, latent_image=link("b")) | {"b": between, "0": node("LoadImage", image="a.png")}
    prompt |= {"n": node("PrimitiveInt", value=1024), "g": node("GetImageSize", image=link("0"))}
    assert workload(prompt) == pytest.approx(expected)


def test_the_factor_of_an_upscale_model_is_in_its_file_name() -> None:
    """An image that a 2x model upscales has four times the pixels, and the upscale itself has a workload too."""
    prompt = with_sampler(steps=20, latent_image=link("e")) | {
        "0": empty(width=512, height=512),
        "m": node("UpscaleModelLoader", model_name="RealESRGAN_x2.pth"),
        "u": node("ImageUpscaleWithModel", upscale_model=link("m"), image=link("0")),
        "e": node("VAEEncode", pixels=link("u"), vae=link("4", 2)),
    }
    assert workload(prompt) == pytest.approx(430)


def with_model(file: str, **changed: Any) -> Prompt:
    """Return a prompt whose sampler uses this model file."""
    prompt = sampled(**changed)
    prompt["4"]["inputs"]["ckpt_name"] = file
    return prompt


@pytest.mark.parametrize(
    ("file", "family", "cost"),
    [
        ("v1-5-pruned-emaonly-fp16.safetensors", "sd1", 1),
        ("sd_xl_base_1.0.safetensors", "sdxl", 1),
        ("FLUX1/flux1-dev-fp8.safetensors", "flux", 4),
        ("flux2_dev.safetensors", "flux2", 32 / 3),
        ("z_image_turbo_bf16.safetensors", "z-image", 2),
        ("qwen_image_2512_fp8.safetensors", "qwen-image", 20 / 3),
        ("wan2.2_t2v_high_noise_14B_fp8.safetensors", "wan-14b", 14 / 12),
        ("wan2.2_ti2v_5B_fp16.safetensors", "wan-5b", 5 / 48),
        ("wan2.1_t2v_1.3B_fp16.safetensors", "wan-1.3b", 1.3 / 12),
        ("somebodys_own.safetensors", "unknown", 1),
    ],
)
def test_the_family_comes_from_the_file_name(file: str, family: str, cost: float) -> None:
    """The family in the file name sets the cost of a step. An unknown model costs the same as the benchmark model."""
    (model_pass,) = passes(with_model(file))
    assert (model_pass.family, model_pass.cost) == (family, pytest.approx(cost))


def test_each_sampler_has_the_cost_of_its_model() -> None:
    """The model is found through LoRAs, guiders and samplings, or by the type of the text encoder."""
    prompt = with_model("flux1-dev.safetensors")
    prompt |= {
        "20": node("LoraLoaderModelOnly", model=link("4"), lora_name="sdxl_style.safetensors"),
        "21": node("BasicGuider", model=link("20"), conditioning=link("6")),
        "22": node("BasicScheduler", model=link("4"), steps=20),
    }
    prompt["3"] = node("SamplerCustomAdvanced", guider=link("21"), sigmas=link("22"), latent_image=link("5"))
    assert workload(prompt) == pytest.approx(400)
    prompt["4"]["inputs"]["ckpt_name"] = "mine.safetensors"
    assert workload(prompt) == pytest.approx(100)
    prompt["30"] = node("CLIPLoader", clip_name="t.safetensors", type="qwen_image")
    assert workload(prompt) == pytest.approx(100 * 20 / 3)


def test_high_and_low_noise_are_two_passes() -> None:
    """Each sampler counts its own range of steps and its own model."""
    high, low = (
        with_model("wan2.2_high_noise_14B.safetensors"),
        node("UNETLoader", unet_name="wan2.2_low_14B.safetensors"),
    )
    high["3"] = node(
        "KSamplerAdvanced", model=link("4"), latent_image=link("5"), steps=20, start_at_step=0, end_at_step=8
    )
    second = node(
        "KSamplerAdvanced", model=link("l"), latent_image=link("3"), steps=20, start_at_step=8, end_at_step=99
    )
    model_passes = passes(high | {"l": low, "k": second})
    assert [(each.node_id, each.steps, each.family) for each in model_passes] == [
        ("3", 8, "wan-14b"),
        ("k", 12, "wan-14b"),
    ]


@pytest.mark.parametrize(
    "inputs",
    [
        {"steps": link("99")},
        {"sigmas": link("99")},
        {"sigmas": link("0")},
        {"how_long": 5},
    ],
)
def test_an_unknown_sampler_counts_as_the_benchmark(inputs: dict[str, Any]) -> None:
    """A node with a model and a latent counts the steps of the benchmark if its steps are unknown."""
    prompt = with_sampler() | {"0": node("NobodysSigmas", strength=1.0)}
    prompt["3"]["inputs"] |= inputs
    assert workload(prompt) == BENCHMARK


SIZES = st.sampled_from(["m", "sdxl", "z-image", "chroma", "flux1", "qwen_image", "flux2"])
"""From the smallest to the largest."""
ORDER = ["m", "sdxl", "z-image", "chroma", "flux1", "qwen_image", "flux2"]


@settings(deadline=None)  # the machine is shared
@given(SIZES, SIZES, st.integers(1, 100), st.integers(0, 3), st.sampled_from(["", "upscale", "sampler"]))
def test_workload_grows_with_model_size_and_passes(
    first: str, second: str, steps: int, upscales: int, added: str
) -> None:
    """A larger model, another sampler or another upscale never lowers the workload."""
    small, large = sorted((first, second), key=ORDER.index)

    def workload_with(model: str, upscales: int, samplers: int) -> float:
        """Return the workload of the generated prompt with these values."""
        prompt = with_model(f"{model}.safetensors", steps=steps) | {
            "m": node("UpscaleModelLoader", model_name="4x.pth")
        }
        for number in range(upscales):
            source = f"u{number - 1}" if number else "8"
            prompt[f"u{number}"] = node("ImageUpscaleWithModel", upscale_model=link("m"), image=link(source))
        for number in range(samplers):
            prompt[f"k{number}"] = node("KSampler", model=link("4"), latent_image=link("3"), steps=1)
        return workload(prompt)

    before = workload_with(small, upscales, 0)
    assert before <= workload_with(large, upscales, 0)
    assert before <= workload_with(small, upscales + (added == "upscale"), int(added == "sampler"))
    if added:
        assert (
            before < workload_with(small, upscales + (added == "upscale"), int(added == "sampler")) or before == CEILING
        )


def test_a_catalog_excludes_nodes_that_do_not_run_here() -> None:
    """Samplers that no output needs and API nodes do not count."""
    idle = sampled() | {"20": node("KSampler", model=link("4"), latent_image=link("5"), steps=20)}
    assert (workload(idle), workload(idle, CATALOG)) == (200, 100)
    remote = {"0": empty(), "1": node("FluxProFillNode", image=link("0"), steps=50), "2": saved()}
    assert (workload(remote) > FLOOR, workload(remote, CATALOG)) == (True, FLOOR)


@settings(deadline=None)  # the machine is shared
@given(
    st.integers(1, 500), st.integers(1, 8192), st.integers(1, 8192), st.integers(1, 64), st.integers(1, 400), st.data()
)
def test_workload_grows_with_each_size(
    steps: int, width: int, height: int, batch: int, frames: int, data: st.DataObject
) -> None:
    """The workload grows with steps, width, height, batch and frames, also with an upscale and a second sampler."""
    sizes = {"steps": steps, "width": width, "height": height, "batch_size": batch, "length": frames}
    more = dict(sizes)
    more[data.draw(st.sampled_from(sorted(sizes)))] += data.draw(st.integers(1, 1000))
    extra = {
        "u": node("LatentUpscaleBy", samples=link("3"), scale_by=1.5),
        "k": node("KSamplerAdvanced", latent_image=link("u"), start_at_step=3, end_at_step=40),
    }

    def workload_with(values: dict[str, int]) -> float:
        """Return the workload of the generated prompt with these values."""
        prompt = sampled(**values) | copy.deepcopy(extra)
        prompt["k"]["inputs"]["steps"] = values["steps"]
        return workload(prompt)

    assert FLOOR <= workload_with(sizes) <= workload_with(more) <= CEILING


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
def test_workload_of_any_prompt_is_within_its_bounds(prompt: Any) -> None:
    """The workload is a number within its bounds for any values and links, including cycles."""
    assert FLOOR <= workload(prompt) <= CEILING
    assert FLOOR <= workload(prompt, CATALOG) <= CEILING


def test_workload_of_large_graphs_takes_little_time() -> None:
    """Long chains and lattices, which have exponentially many paths, take little time."""
    lattice: Prompt = {"0": node("BasicScheduler", steps=20)}
    for i in range(1, 1500):
        lattice[str(i)] = node("Join", sigmas_1=link(str(i - 1)), sigmas_2=link(str(i - 1)), latent=link(str(i - 1)))
    assert FLOOR <= workload(lattice | {"s": node("X", sigmas=link("1499"), latent_image=link("1499"))}) <= CEILING
