"""The workload of prompts in units, which clients and workers compute alike."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.load.works import SHIPPED, sampler, with_checkpoint, with_model
from tests.workflow.prompts import empty, link, node, sampled, saved
from tests.workflow.test_prompt import JSON
from worker.load.features.content_size import Size
from worker.load.gpu_classes import REFERENCE
from worker.load.prior import prior_seconds
from worker.load.work import job_work
from worker.load.workload import CEILING, FLOOR, workload
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.prompt import Prompt

CATALOG = bundled_catalog()
GPU_JOBS = [name for name in SHIPPED if "resize" not in name]


def test_a_unit_is_a_second_on_the_reference_gpu() -> None:
    """The workload is the sum of the prior seconds of all nodes on an RTX 4090."""
    work = job_work(SHIPPED["flux-dev"], CATALOG)
    assert REFERENCE.name == "RTX 4090"
    assert work.units == pytest.approx(sum(prior_seconds(each, REFERENCE) for each in work.nodes))


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [
        ("sd15", 0.5, 1.5),
        ("sdxl", 2, 5),
        ("flux-dev", 9, 18),
        ("flux-schnell", 2, 4.5),
        ("z-image-turbo", 3, 6),
        ("qwen-image-2512", 70, 150),
        ("wan22-t2v", 350, 750),
        ("upscale", 2, 8),
        ("smoke-resize", FLOOR, 0.3),
    ],
)
def test_shipped_workflows_have_the_order_of_magnitude_of_an_rtx_4090(name: str, least: float, most: float) -> None:
    """The workload of known workflows is about the seconds that they take on an RTX 4090."""
    assert least < workload(SHIPPED[name], CATALOG) < most


@pytest.mark.parametrize("name", SHIPPED)
def test_a_client_computes_the_same_workload_without_a_catalog(name: str) -> None:
    """The workload of a shipped workflow does not depend on the catalog, and it is above the minimum."""
    assert FLOOR < workload(SHIPPED[name]) == workload(SHIPPED[name], CATALOG) < CEILING


@pytest.mark.parametrize("name", GPU_JOBS)
def test_the_model_of_a_shipped_workflow_is_known(name: str) -> None:
    """Every sampler of the library has a family, steps and its model files, and its work outweighs small nodes."""
    nodes = job_work(SHIPPED[name], CATALOG).nodes
    samplers = [each for each in nodes if each.steps]
    assert all(each.family != "unknown" and each.models for each in samplers)
    assert sum(each.tflop for each in nodes) > 10


def test_a_catalog_excludes_nodes_that_do_not_run_here() -> None:
    """Samplers that no output needs and API nodes do not count."""
    idle = sampled() | {"20": node("KSampler", model=link("4"), latent_image=link("5"), steps=20)}
    assert workload(idle) > 1.5 * workload(idle, CATALOG) == pytest.approx(1.5 * workload(sampled(), CATALOG))
    remote = {"0": empty(), "1": node("FluxProFillNode", image=link("0"), steps=50), "2": saved()}
    assert workload(remote) > 1 > workload(remote, CATALOG)


def test_the_branch_that_a_switch_ignores_does_not_run() -> None:
    """A sampler behind the other input of a switch costs nothing, with and without a catalog."""
    prompt = sampled() | {
        "20": node(
            "KSampler", model=link("4"), positive=link("6"), negative=link("6"), latent_image=link("5"), steps=90
        ),
        "21": node("ComfySwitchNode", switch=link("22"), on_true=link("20"), on_false=link("3")),
        "22": node("PrimitiveBoolean", value=False),
    }
    prompt["8"]["inputs"]["samples"] = link("21")
    few = workload(prompt), workload(prompt, CATALOG)
    prompt["22"]["inputs"]["value"] = True
    assert max(few) * 2 < min(workload(prompt), workload(prompt, CATALOG))


def test_true_sizes_of_files_replace_the_assumed_ones() -> None:
    """An uploaded picture counts as 1024x1024 until its size is known."""
    prompt = SHIPPED["upscale"]
    assumed = workload(prompt)
    assert workload(prompt, sizes={"example.png": Size(1024, 1024)}) == assumed
    assert workload(prompt, sizes={"example.png": Size(512, 512)}) == pytest.approx(assumed / 4, rel=0.1)


def test_a_model_of_unknown_name_counts_by_the_size_of_its_file() -> None:
    """A larger file is more work. Without a size, a checkpoint counts as SDXL."""
    tflops = [
        sampler(with_model("own.safetensors"), model_bytes={"own.safetensors": size}).tflop for size in (4e9, 24e9)
    ]
    assert tflops[0] * 3 < tflops[1]
    own = "own.safetensors"
    assert sampler(with_checkpoint(own)) == sampler(with_checkpoint(own), model_bytes={own: None})
    assert sampler(with_checkpoint(own)).family == "sdxl"
    assert sampler(with_checkpoint(own), model_bytes={own: int(2.1e9)}).family == "sd1"


@pytest.mark.parametrize("prompt", [{}, {"1": empty(width=64, height=64)}])
def test_the_workload_has_a_minimum(prompt: Prompt) -> None:
    """A prompt that does nothing has the smallest workload."""
    assert workload(prompt) == FLOOR


def test_the_workload_has_a_maximum() -> None:
    """Absurd values give the largest workload, because JSON has no infinity."""
    assert workload(sampled(steps=10**9, width=10**9, height=10**9, batch_size=10**9)) == CEILING


@settings(deadline=None)  # the machine is shared
@given(
    st.sampled_from(["v1-5.safetensors", "flux1-dev.safetensors", "wan2.2_t2v_14B.safetensors", "own.safetensors"]),
    st.integers(1, 500),
    st.tuples(st.integers(16, 8192), st.integers(16, 8192)),
    st.tuples(st.integers(1, 64), st.integers(1, 400)),
    st.sampled_from([1.0, 7.0]),
    st.data(),
)
def test_the_workload_grows_with_each_size(
    model: str, steps: int, sides: tuple[int, int], counts: tuple[int, int], cfg: float, data: st.DataObject
) -> None:
    """The workload grows with steps, width, height, batch, frames and passes, also with an upscale in between."""
    values = {"steps": steps, "width": sides[0], "height": sides[1], "batch_size": counts[0], "length": counts[1]}
    more = dict(values)
    more[data.draw(st.sampled_from(sorted(values)))] += data.draw(st.integers(1, 1000))
    extra = {
        "u": node("LatentUpscaleBy", samples=link("3"), scale_by=1.5),
        "k": node(
            "KSamplerAdvanced", model=link("4"), latent_image=link("u"), start_at_step=3, end_at_step=40, cfg=cfg
        ),
    }

    def workload_with(values: dict[str, int], cfg: float) -> float:
        """Return the workload of the generated prompt with these values."""
        prompt = with_model(model, **values) | copy.deepcopy(extra)
        prompt["k"]["inputs"]["steps"] = values["steps"]
        prompt["3"]["inputs"]["cfg"] = cfg
        return workload(prompt)

    assert FLOOR <= workload_with(values, cfg) <= workload_with(more, cfg) <= CEILING
    assert workload_with(values, 1.0) <= workload_with(values, 7.0)


CLASSES = [
    "KSampler",
    "SaveImage",
    "RepeatLatentBatch",
    "Odd",
    "LoadVideo",
    "VAEDecodeTiled",
    "SplitSigmasDenoise",
    "ClownsharkChainsampler_Beta",
    "ImageStitch",
    "SeedVR2VideoUpscaler",
    "TextEncodeQwenImageEdit",
    "ControlNetApplyAdvanced",
    "WanImageToVideo",
    "ConditioningCombine",
    "RIFE VFI",
]
NAMES = [
    *("steps", "width", "height", "length", "sigmas", "latent_image", "samples", "image", "upscale_model", "step"),
    *("model", "positive", "vae", "clip", "cfg", "denoise", "steps_to_run", "tile_size", "overlap", "resolution"),
    *("megapixels", "frame_load_cap", "select_every_nth", "batch_size", "on_true", "on_false", "switch", "ckpt_name"),
    *("control_net", "end_percent", "options", "cycles", "guide_size", "model_name", "multiplier", "max_length"),
]
LINKS = st.tuples(st.sampled_from(["1", "2", "3", "9"]), st.integers(-1, 2)).map(list)
NUMBERS = st.sampled_from([0, -1, 1, 0.5, 1e308, 2**80, "7", "1024x1024", "4x.pth", float("inf"), True, None])


@settings(deadline=None, max_examples=300)  # the machine is shared
@given(
    st.dictionaries(
        st.sampled_from(["1", "2", "3", "4"]),
        st.fixed_dictionaries(
            {
                "class_type": st.sampled_from(CLASSES),
                "inputs": st.dictionaries(st.sampled_from(NAMES), LINKS | NUMBERS | JSON, max_size=12),
            }
        ),
    )
)
def test_the_work_of_any_prompt_is_finite(prompt: Any) -> None:
    """The work is finite and within its bounds for any values and links, including cycles."""
    sizes = {"4x.pth": Size(1, 0)}
    for catalog in (None, CATALOG):
        assert FLOOR <= job_work(prompt, catalog, sizes).units == workload(prompt, catalog, sizes) <= CEILING
        work = job_work(prompt, catalog, sizes, {"4x.pth": 10})
        assert all(0 <= each.tflop < 1e300 and 0 <= each.fixed_s < 1e300 and each.steps >= 0 for each in work.nodes)
        assert work.ancestry.keys() == prompt.keys()


@pytest.mark.parametrize(
    ("class_type", "inputs"),
    [
        ("RepeatLatentBatch", {"amount": 1_000_000}),
        ("LatentUpscaleBy", {"scale_by": 1_000_000}),
        ("RIFE VFI", {"multiplier": 1_000_000}),
    ],
)
def test_a_chain_of_nodes_that_multiply_a_size_is_finite(class_type: str, inputs: dict[str, Any]) -> None:
    """The work stays within its bounds if every node of a long chain multiplies the size of the one before."""
    prompt: Prompt = {"0": node("EmptyLatentImage", width=1024, height=1024, batch_size=1)}
    for i in range(1, 99):
        prompt[str(i)] = node(class_type, samples=link(str(i - 1)), **inputs)
    prompt["s"] = node("SaveImage", images=link("98"))
    assert FLOOR <= job_work(prompt).units <= CEILING


def test_the_work_of_large_graphs_takes_little_time() -> None:
    """Long chains and lattices, which have exponentially many paths, take little time."""
    lattice: Prompt = {"0": node("BasicScheduler", steps=20)}
    for i in range(1, 1500):
        before = link(str(i - 1))
        lattice[str(i)] = node("Join", sigmas_1=before, sigmas_2=before, latent=before, model=before, positive=before)
    assert FLOOR <= workload(lattice | {"s": node("X", sigmas=link("1499"), latent_image=link("1499"))}) <= CEILING
    many = sampled() | {
        f"k{i}": node("KSampler", model=link("4"), latent_image=link("3"), steps=1) for i in range(2000)
    }
    assert workload(many) > 10


def test_equal_nodes_are_priced_once() -> None:
    """The work of equal nodes is found much sooner than that of different ones, and is the same."""

    def prompt(seeds: range) -> Prompt:
        sampled_with_loras = copy.deepcopy(SHIPPED["sdxl"])
        [number] = [each for each, one in sampled_with_loras.items() if one["class_type"] == "KSampler"]
        sampling = sampled_with_loras.pop(number)
        model = sampling["inputs"]["model"]
        for lora in range(90):
            inputs = {"model": model, "lora_name": f"{lora}.safetensors", "strength_model": 1.0}
            sampled_with_loras[f"lora{lora}"] = {"class_type": "LoraLoaderModelOnly", "inputs": inputs}
            model = [f"lora{lora}", 0]
        for place in range(500):
            inputs = {**sampling["inputs"], "model": model, "seed": seeds[place % len(seeds)]}
            sampled_with_loras[f"{number}-{place}"] = {**sampling, "inputs": inputs}
        return sampled_with_loras

    def timed(seeds: range) -> tuple[float, float]:
        one = prompt(seeds)
        began = time.thread_time()
        return workload(one), time.thread_time() - began

    (equal, equal_s), (different, different_s) = timed(range(1)), timed(range(500))
    assert equal == different > 100
    assert equal_s < different_s / 2
