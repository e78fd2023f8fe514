"""The work of samplers: family, passes, stages, references and ControlNets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.load.works import sampler, with_checkpoint, with_model, with_sampler, works
from tests.workflow.prompts import empty, link, node, sampled
from worker.load.features.evaluations import evaluations, evaluations_in_step
from worker.load.features.models.architectures import FAMILIES
from worker.load.features.sizes.size import Size
from worker.load.node_work import NodeKind
from worker.workflow.prompt import Prompt


@pytest.mark.parametrize(
    ("file", "family"),
    [
        ("v1-5-pruned-emaonly-fp16.safetensors", "sd1"),
        ("dreamshaper_8.safetensors", "sd1"),
        ("sd_xl_base_1.0.safetensors", "sdxl"),
        ("ponyDiffusionV6XL.safetensors", "sdxl"),
        ("FLUX1/flux1-dev-fp8.safetensors", "flux"),
        ("flux1-dev-kontext_fp8_scaled.safetensors", "flux"),
        ("flux2_dev_fp8mixed.safetensors", "flux2"),
        ("flux-2-klein-base-4b.safetensors", "flux2-klein-4b"),
        ("flux-2-klein-9b.safetensors", "flux2-klein"),
        ("chroma-unlocked-v50.safetensors", "chroma"),
        ("z_image_turbo_bf16.safetensors", "z-image"),
        ("qwen_image_edit_2511_fp8mixed.safetensors", "qwen-image"),
        ("hidream_i1_full_fp8.safetensors", "hidream"),
        ("sd3.5_large.safetensors", "sd3.5-large"),
        ("sd3.5_medium.safetensors", "sd3.5-medium"),
        ("sd3_medium_incl_clips.safetensors", "sd3"),
        ("lumina_2.safetensors", "lumina2"),
        ("omnigen2_fp16.safetensors", "omnigen2"),
        ("cosmos_predict2_2B_t2i.safetensors", "cosmos-2b"),
        ("Cosmos-1_0-Diffusion-7B-Text2World.safetensors", "cosmos"),
        ("wan2.2_t2v_high_noise_14B_fp8.safetensors", "wan-14b"),
        ("wan2.2_ti2v_5B_fp16.safetensors", "wan-5b"),
        ("wan2.1_t2v_1.3B_fp16.safetensors", "wan-1.3b"),
        ("wan2.1_vace_14B_fp16.safetensors", "wan-vace-14b"),
        ("Wan2_1-VACE_module_1_3B.safetensors", "wan-vace-1.3b"),
        ("hunyuan_video_t2v_720p_bf16.safetensors", "hunyuan-video"),
        ("hunyuanvideo1.5_720p_t2v_fp16.safetensors", "hunyuan-video-1.5"),
        ("hunyuanimage2.1_bf16.safetensors", "hunyuan-image"),
        ("ltx-video-2b-v0.9.5.safetensors", "ltx"),
        ("ltxv-13b-0.9.7-dev.safetensors", "ltx-13b"),
        ("ltx-2-19b-dev-fp8.safetensors", "ltx2"),
        ("mochi_preview_bf16.safetensors", "mochi"),
        ("seedvr2_3b_int8_convrot.safetensors", "seedvr2-3b"),
        ("seedvr2_ema_7b_fp16.safetensors", "seedvr2-7b"),
        ("stable-audio-open-1.0.safetensors", "stable-audio"),
        ("ace_step_v1_3.5b.safetensors", "ace-step"),
        ("svd_xt.safetensors", "svd"),
        ("kandinsky5lite_t2v_sft_5s.safetensors", "kandinsky5"),
        ("somebodys_own.safetensors", "unknown"),
    ],
)
def test_the_family_comes_from_the_file_name(file: str, family: str) -> None:
    """The name of the file tells the family of the model."""
    assert sampler(with_model(file)).family == family


def test_every_family_has_finite_work_that_grows_with_the_picture() -> None:
    """A larger picture or a reference is more work for each family."""
    for family in FAMILIES.values():
        small, large = (family.network.tflop(Size(side, side)) for side in (512, 1024))
        assert 0 < small < large < family.network.tflop(Size(1024, 1024), 1024**2) < 1e4, family.name


@pytest.mark.parametrize(
    ("file", "size", "tflop"),
    [
        ("v1-5.safetensors", Size(512, 512), 0.803),
        ("sd_xl_base.safetensors", Size(1024, 1024), 6.76),
        ("flux1-dev.safetensors", Size(1024, 1024), 74.4),
        ("flux1-dev.safetensors", Size(2048, 2048), 418),
        ("qwen_image.safetensors", Size(1024, 1024), 69.2),
        ("wan2.1_t2v_14B.safetensors", Size(832, 480, 81), 1678),
        ("wan2.1_t2v_14B.safetensors", Size(1280, 720, 81), 6523),
        ("hunyuan_video.safetensors", Size(1280, 720, 129), 12069),
        ("ltx-video-2b.safetensors", Size(1280, 704, 121), 92.7),
    ],
)
def test_the_work_of_an_evaluation_is_what_the_code_of_the_model_does(file: str, size: Size, tflop: float) -> None:
    """The closed form gives the operations that were counted on the models' code, within 4 %."""
    prompt = with_model(file, steps=1, width=int(size.width), height=int(size.height), length=int(size.frames))
    prompt["3"]["inputs"]["cfg"] = 1.0
    assert sampler(prompt).tflop == pytest.approx(tflop, rel=0.04)


def test_the_family_is_found_behind_other_nodes() -> None:
    """The model is found through LoRAs, guiders and samplings, or by the text encoder or the latent."""
    prompt = with_model("flux1-dev.safetensors")
    prompt |= {
        "20": node("LoraLoaderModelOnly", model=link("4"), lora_name="sdxl_style.safetensors"),
        "21": node("BasicGuider", model=link("20"), conditioning=link("6")),
        "22": node("BasicScheduler", model=link("4"), steps=20),
    }
    prompt["3"] = node("SamplerCustomAdvanced", guider=link("21"), sigmas=link("22"), latent_image=link("5"))
    work = sampler(prompt)
    assert (work.family, work.models) == ("flux", ("sdxl_style.safetensors", "flux1-dev.safetensors"))
    prompt["4"]["inputs"]["unet_name"] = "mine.safetensors"
    assert sampler(prompt).family == "unknown"
    prompt["5"]["class_type"] = "EmptyMochiLatentVideo"
    assert sampler(prompt).family == "mochi"
    prompt["30"] = node("CLIPLoader", clip_name="t.safetensors", type="qwen_image")
    assert sampler(prompt).family == "qwen-image"


def test_high_and_low_noise_are_two_samplers() -> None:
    """Each sampler counts its own range of steps and its own model."""
    prompt = with_model("wan2.2_high_noise_14B.safetensors")
    common = {"model": link("4"), "positive": link("6"), "negative": link("6"), "steps": 20, "cfg": 3.5}
    prompt["3"] = node("KSamplerAdvanced", **common, latent_image=link("5"), start_at_step=0, end_at_step=8)
    prompt["l"] = node("UNETLoader", unet_name="wan2.2_low_14B.safetensors")
    low = common | {"model": link("l"), "latent_image": link("3"), "start_at_step": 8, "end_at_step": 10000}
    high, second = works(prompt | {"k": node("KSamplerAdvanced", **low)}, NodeKind.SAMPLER)
    assert (high.steps, high.models, second.steps, second.models) == (
        8,
        ("wan2.2_high_noise_14B.safetensors",),
        12,
        ("wan2.2_low_14B.safetensors",),
    )
    assert second.tflop == pytest.approx(1.5 * high.tflop)


def passes(prompt: Prompt) -> float:
    """Return the passes of the model in each step, from the work of the only sampler."""
    prompt["4"] = node("UNETLoader", unet_name="flux1-dev.safetensors")
    once = with_model("flux1-dev.safetensors")
    once["3"]["inputs"]["cfg"] = 1.0
    return sampler(prompt).tflop / sampler(once).tflop


@pytest.mark.parametrize(
    ("class_type", "inputs", "expected"),
    [
        ("KSampler", {"cfg": 1.0}, 1),
        ("KSampler", {"cfg": 1}, 1),
        ("KSampler", {"cfg": 3.5}, 2),
        ("KSampler", {"cfg": link("cfg")}, 1),
        ("SamplerCustom", {"cfg": 6.0}, 2),
        ("FluxSampler", {"conditioning": link("6")}, 1),
        ("SomebodysSampler", {}, 1),
        ("ClownsharKSampler_Beta", {"cfg": 5.5, "steps_to_run": -1}, 2),
    ],
)
def test_passes_follow_the_guidance(class_type: str, inputs: dict[str, Any], expected: float) -> None:
    """The negative prompt is evaluated unless the guidance is 1. A distilled model makes one pass by default."""
    prompt = with_sampler(class_type=class_type, steps=20, positive=link("6"), negative=link("6"), **inputs)
    if "conditioning" in inputs:
        del prompt["3"]["inputs"]["positive"], prompt["3"]["inputs"]["negative"]
    prompt["cfg"] = node("PrimitiveFloat", value=1.0)
    assert passes(prompt) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("guider", "expected"),
    [
        (node("BasicGuider", model=link("4"), conditioning=link("6")), 1),
        (node("CFGGuider", model=link("4"), positive=link("6"), negative=link("6"), cfg=1.0), 1),
        (node("CFGGuider", model=link("4"), positive=link("6"), negative=link("6"), cfg=4.0), 2),
        (
            node("DualCFGGuider", model=link("4"), cond1=link("6"), cond2=link("6"), negative=link("6"), cfg_conds=4.0),
            3,
        ),
        (node("CFGGuider", model=link("pag"), positive=link("6"), negative=link("6"), cfg=4.0), 3),
        (node("CFGGuider", model=link("4"), positive=link("two"), negative=link("6"), cfg=4.0), 3),
    ],
)
def test_passes_follow_the_guider(guider: Any, expected: float) -> None:
    """Guiders evaluate one, two or three conditionings, and a perturbed attention or a second prompt one more."""
    prompt = with_sampler(class_type="SamplerCustomAdvanced", steps=20, guider=link("g")) | {
        "g": guider,
        "pag": node("PerturbedAttentionGuidance", model=link("4"), scale=3.0),
        "two": node("ConditioningCombine", conditioning_1=link("6"), conditioning_2=link("6b")),
        "6b": node("CLIPTextEncode", text="b", clip=link("4", 1)),
    }
    del prompt["3"]["inputs"]["model"]
    assert passes(prompt) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("euler", 1),
        ("heun", 2),
        ("heunpp2", 3),
        ("dpm_2_ancestral", 2),
        ("dpmpp_2m", 1),
        ("dpmpp_2m_sde_heun_gpu", 1),
        ("dpmpp_2s_ancestral", 2),
        ("dpmpp_3m_sde", 1),
        ("dpmpp_sde_gpu", 2),
        ("seeds_2", 2),
        ("seeds_3", 3),
        ("sa_solver", 1),
        ("sa_solver_pece", 2),
        ("uni_pc_bh2", 1),
        ("res_multistep_ancestral", 1),
        ("res_2m", 1),
        ("res_2s", 2),
        ("res_3s_ode", 3),
        ("multistep/res_3m", 1),
        ("exponential/res_2s_rkmk2e", 2),
        ("exponential/res_16s", 16),
        ("hybrid/pec433_2h3s", 3),
        ("linear/dormand-prince_13s", 13),
        ("fully_implicit/gauss-legendre_5s_ascending", 6),
        ("fully_implicit/lobatto_iiic_3s", 3),
        ("somebodys_own", 1),
        ("", 1),
    ],
)
def test_the_stages_of_a_sampler_are_in_its_name(name: str, expected: float) -> None:
    """The name of a sampler tells how often it evaluates the model in a step, also those of RES4LYF."""
    assert evaluations_in_step(name) == expected


@pytest.mark.parametrize(
    ("name", "by_steps"),
    [
        ("euler", {1: 1, 6: 6, 20: 20}),
        ("heun", {1: 1, 6: 11, 20: 39}),
        ("seeds_3", {6: 16}),
        ("dpmpp_2m", {6: 6, 20: 20}),
        ("exponential/res_2s", {1: 2, 5: 10, 30: 60}),
        ("hybrid/pec433_2h3s", {5: 15, 12: 36}),
        ("fully_implicit/gauss-legendre_2s", {5: 15}),
        ("multistep/res_2m", {1: 2, 2: 4, 20: 22, 30: 32}),
        ("multistep/res_3m", {1: 3, 2: 6, 3: 9, 20: 26, 30: 36}),
        ("multistep/abnorsett_4m", {1: 4, 4: 16, 8: 20, 30: 42}),
    ],
)
def test_evaluations_are_those_that_comfyui_makes(name: str, by_steps: dict[int, float]) -> None:
    """The evaluations of samplers were counted in ComfyUI: the last step of some, and the first of others, differ."""
    assert {steps: evaluations(name, steps) for steps in by_steps} == by_steps


@pytest.mark.parametrize(
    ("class_type", "inputs", "ratio"),
    [
        ("KSamplerSelect", {"sampler_name": "heun"}, 39 / 20),
        ("SamplerDPMPP_SDE", {"eta": 1.0}, 39 / 20),
        ("SamplerSEEDS2", {"r": 0.5}, 39 / 20),
        ("SamplerDPMPP_2M_SDE", {"eta": 1.0}, 1),
        ("ClownSampler_Beta", {"sampler_name": "exponential/res_3s"}, 3),
    ],
)
def test_the_sampler_may_come_from_its_own_node(class_type: str, inputs: dict[str, Any], ratio: float) -> None:
    """The algorithm is that of the linked node: the one that it names, or the one of its class."""
    euler = sampled()
    linked = sampled() | {"s": node(class_type, **inputs)}
    linked["3"]["inputs"] |= {"sampler": link("s"), "sampler_name": link("s")}
    assert sampler(linked).tflop == pytest.approx(sampler(euler).tflop * ratio)


@pytest.mark.parametrize(
    ("options", "sampler_inputs", "expected"),
    [
        ({}, {}, 10),
        ({"implicit_steps": 1}, {}, 25),
        ({"implicit_steps": 2}, {}, 40),
        ({"implicit_substeps": 2}, {}, 50),
        ({"cycles": 1.0}, {}, 10),
        ({"cycles": 1.0}, {"steps_to_run": 3}, 18),
        ({"cycles": 2.0}, {"steps_to_run": 3}, 30),
    ],
)
def test_options_of_res4lyf_add_evaluations(
    options: dict[str, float], sampler_inputs: dict[str, Any], expected: float
) -> None:
    """Implicit steps evaluate each stage again. Cycles go back and forth over the part of the steps that runs."""
    inputs = {"steps": 5, "cfg": 1.0, "sampler_name": "exponential/res_2s", "steps_to_run": -1} | sampler_inputs
    prompt = with_sampler(class_type="ClownsharKSampler_Beta", **inputs, **{"options_group.options0": link("o")})
    prompt["o"] = node("ClownOptions_Beta", **options)
    euler = with_sampler(class_type="ClownsharKSampler_Beta", steps=1, cfg=1.0, sampler_name="linear/euler")
    assert sampler(prompt).tflop == pytest.approx(sampler(euler).tflop * expected)


def test_reference_pictures_are_tokens() -> None:
    """A reference picture of the same size about doubles the work of an edit."""
    prompt = with_model("flux1-dev-kontext.safetensors", width=1024, height=1024) | {
        "i": empty(width=1024, height=1024),
        "e": node("VAEEncode", pixels=link("i"), vae=link("4", 2)),
        "r": node("ReferenceLatent", conditioning=link("6"), latent=link("e")),
        "t": node("TextEncodeQwenImageEditPlus", clip=link("4"), vae=link("4", 2), image1=link("i"), image2=link("i")),
    }
    plain = sampler(prompt).tflop
    prompt["3"]["inputs"]["positive"] = link("r")
    assert 2 < sampler(prompt).tflop / plain < 2.4
    prompt["3"]["inputs"]["positive"] = link("t")
    assert 3 < sampler(prompt).tflop / plain < 4


def controlled(**changed: Any) -> Prompt:
    """Return a prompt with a ControlNet, of which these inputs are changed."""
    inputs = {"positive": link("6"), "negative": link("6"), "control_net": link("c"), "image": link("i")}
    inputs |= {"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}
    prompt = with_checkpoint("sd15.safetensors") | {
        "i": empty(),
        "c": node("ControlNetLoader", control_net_name="canny.safetensors"),
        "a": node("ControlNetApplyAdvanced", **(inputs | changed)),
    }
    prompt["3"]["inputs"] |= {"positive": link("a"), "negative": link("a", 1)}
    return prompt


def test_a_controlnet_costs_almost_half_an_evaluation() -> None:
    """A ControlNet adds 45 % in the steps in which it is active, and its file has to be loaded."""
    plain = sampler(with_checkpoint("sd15.safetensors")).tflop
    assert sampler(controlled()).tflop == pytest.approx(1.45 * plain)
    assert sampler(controlled(end_percent=0.5)).tflop == pytest.approx(1.225 * plain)
    assert sampler(controlled(strength=0.0)).tflop == plain
    assert sampler(controlled()).models == ("sd15.safetensors", "canny.safetensors")


def test_weights_and_compilation_change_the_time_of_an_evaluation() -> None:
    """Products in 8 bits and a compiled model are faster, GGUF is slower, and 8-bit storage changes nothing."""
    plain = with_model("flux1-dev.safetensors")
    tflop = sampler(plain).tflop

    def with_weights(dtype: str) -> float:
        """Return the work with weights of a type."""
        prompt = with_model("flux1-dev.safetensors")
        prompt["4"]["inputs"]["weight_dtype"] = dtype
        return sampler(prompt).tflop

    assert with_weights("fp8_e4m3fn_fast") < with_weights("fp8_e4m3fn") == tflop
    assert sampler(with_model("flux1-dev-Q5_K_M.gguf")).tflop > tflop
    plain["c"] = node("TorchCompileModel", model=link("4"), backend="inductor")
    plain["3"]["inputs"]["model"] = link("c")
    assert sampler(plain).tflop == pytest.approx(0.67 * tflop)


def test_frames_are_a_batch_for_models_of_pictures() -> None:
    """Frames that a model of pictures samples do not attend to each other. Those of a video model do."""
    one, many = (sampler(with_model("flux1-dev.safetensors", length=count)).tflop for count in (1, 9))
    assert many == pytest.approx(9 * one)
    one, many = (sampler(with_model("wan2.1_t2v_14B.safetensors", length=count, width=1280)).tflop for count in (1, 33))
    assert many > 12 * one


def test_precision_and_shape_tell_jobs_apart() -> None:
    """The precision is read from the loader or the file name, and the shape holds what else a step costs."""
    assert sampler(with_model("flux1-dev_fp8_scaled.safetensors")).precision == "fp8_scaled"
    assert sampler(with_model("svdq-int4-flux.1-dev.safetensors")).precision == "svdq"
    assert sampler(with_model("a.safetensors")).shape != sampler(with_model("a.safetensors", batch_size=2)).shape


@pytest.mark.parametrize(
    "class_type",
    ["ModelSamplingAdvancedResolution", "Context (rgthree)", "ApplyFooocusInpaint", "AddNoise", "XScheduler"],
)
def test_some_nodes_only_look_like_samplers(class_type: str) -> None:
    """Nodes that change a model, or pass things on, do not sample even if they receive a model and a latent."""
    assert not works(with_sampler(class_type=class_type, steps=20), NodeKind.SAMPLER)


def test_a_model_that_a_loader_downloads_is_known() -> None:
    """The name of a model without a file counts if a loader has it."""
    prompt = with_sampler(class_type="CogVideoSampler", steps=50, num_frames=49)
    prompt["4"] = node("DownloadAndLoadCogVideoModel", model="THUDM/CogVideoX-5b")
    assert sampler(prompt).family == "cogvideo"


def test_a_detailer_works_on_a_part_of_the_picture() -> None:
    """The detailer of a face samples squares of its own size, and decodes them."""
    inputs = {"image": link("i"), "model": link("4"), "vae": link("4", 2), "positive": link("6"), "negative": link("6")}
    prompt = with_checkpoint("sd15.safetensors") | {"i": empty(width=4096, height=4096)}
    prompt["3"] = node("FaceDetailer", **inputs, steps=20, cfg=7.0, guide_size=512, denoise=0.5)
    assert sampler(prompt).tflop < 200
