"""The work of nodes that are no samplers: autoencoders, text encoders, upscalers, loaders and savers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.load.works import SHIPPED, upscaled, works
from tests.workflow.prompts import empty, link, node, saved
from worker.load.features.content_size import Size
from worker.load.node_work import NodeKind, NodeWork
from worker.load.work import job_work
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.prompt import Prompt


def only(prompt: Prompt, kind: NodeKind, **known: Any) -> NodeWork:
    """Return the work of the only node of a kind."""
    (work,) = works(prompt, kind, **known)
    return work


def coded(file: str, class_type: str = "VAEDecode", **size: Any) -> NodeWork:
    """Return the work of a node that decodes or encodes content of this size with the VAE in this file."""
    size = {"width": 1024, "height": 1024, "batch_size": 1} | size
    source = "samples" if "Decode" in class_type else "pixels"
    prompt = {
        "0": node("EmptyLatentImage", **size),
        "v": node("VAELoader", vae_name=file),
        "1": node(class_type, vae=link("v"), tile_size=512, overlap=128, **{source: link("0")}),
        "2": saved("1"),
    }
    return only(prompt, NodeKind.VAE_DECODE if "Decode" in class_type else NodeKind.VAE_ENCODE)


def test_decoding_costs_by_pixels_and_by_autoencoder() -> None:
    """Decoding costs more than encoding, grows with pixels and frames, and depends on the autoencoder."""
    decode = coded("ae.safetensors")
    assert decode.models == ("ae.safetensors",)
    assert decode.tflop > 2 * coded("ae.safetensors", "VAEEncode").tflop
    assert coded("ae.safetensors", width=2048).tflop > 2 * decode.tflop
    assert coded("taesd").tflop < 0.1 * decode.tflop
    video = [coded(file, length=81, width=832, height=480).tflop for file in ("wan_2.1_vae.safetensors", "seedvr2.pt")]
    assert 20 * decode.tflop < video[0] < video[1]


def test_tiles_overlap() -> None:
    """A node that works in tiles computes their edges several times, and a picture as a whole three times."""
    picture, video = (
        coded(file, "VAEDecodeTiled").tflop / coded(file).tflop for file in ("ae.safetensors", "qwen_vae.safetensors")
    )
    assert 1.5 < video < 2.0
    assert picture > 2.8 * video


def test_a_picture_becomes_a_video_of_all_frames() -> None:
    """WanImageToVideo encodes as many frames as the video has. Without a picture it encodes nothing."""
    prompt = SHIPPED["wan22-i2v"]
    encode = only(prompt, NodeKind.VAE_ENCODE)
    assert encode.tflop > 50 * coded("wan_2.1_vae.safetensors", "VAEEncode", width=640, height=640).tflop
    inputs = {name: value for name, value in prompt["98"]["inputs"].items() if name != "start_image"}
    assert not works(prompt | {"98": node("WanImageToVideo", **inputs)}, NodeKind.VAE_ENCODE)


def test_text_encoders_cost_by_their_size() -> None:
    """A large text encoder costs more than CLIP, and a picture beside the text costs more than the text alone."""
    (clip,) = {work.tflop for work in works(SHIPPED["sd15"], NodeKind.TEXT_ENCODE)}
    (large,) = {work.tflop for work in works(SHIPPED["flux-dev"], NodeKind.TEXT_ENCODE)}
    edit = works(SHIPPED["qwen-image-edit"], NodeKind.TEXT_ENCODE)
    assert 10 * clip < large < edit[0].tflop
    assert edit[0].models == ("qwen_2.5_vl_7b_fp8_scaled.safetensors", "qwen_image_vae.safetensors")


def test_upscale_models_cost_by_pixels_and_by_model() -> None:
    """The work grows with the input, and with the size of the model by its file or its name."""
    usual = only(upscaled("4x-UltraSharp.pth"), NodeKind.UPSCALE)
    assert (usual.models, usual.family) == (("4x-UltraSharp.pth",), "4x-UltraSharp.pth")
    assert only(upscaled("4x-UltraSharp.pth", 1024), NodeKind.UPSCALE).tflop == pytest.approx(4 * usual.tflop)
    known = only(upscaled("own.pth"), NodeKind.UPSCALE, model_bytes={"own.pth": 67_000_000})
    assert known.tflop == pytest.approx(usual.tflop, rel=0.05)
    assert only(upscaled("realesr-general-x4v3.pth"), NodeKind.UPSCALE).tflop < usual.tflop / 10
    assert only(upscaled("RealESRGAN_x2plus.pth"), NodeKind.UPSCALE).tflop == pytest.approx(usual.tflop / 4)
    assert only(upscaled("4x_HAT.pth"), NodeKind.UPSCALE).tflop == pytest.approx(usual.tflop * 3)
    assert only(upscaled("4x.pth", class_type="UpscalerTensorrt"), NodeKind.UPSCALE).tflop < usual.tflop / 2


def test_upscales_in_a_chain_grow() -> None:
    """The second upscale works on the output of the first."""
    prompt = upscaled("4x.pth") | {
        "4": node("ImageUpscaleWithModel", upscale_model=link("1"), image=link("2")),
        "5": saved("4"),
    }
    first, second = works(prompt, NodeKind.UPSCALE)
    assert second.tflop == pytest.approx(16 * first.tflop)


def test_seedvr2_counts_both_passes_of_its_autoencoder() -> None:
    """The node of the SeedVR2 pack encodes, samples one step and decodes at the size of its output."""
    loader = node("VHS_LoadVideo", video="a.mp4")
    models = {
        "d": node("SeedVR2LoadDiTModel", model="seedvr2_ema_7b_fp16.safetensors"),
        "e": node("SeedVR2LoadVAEModel", model="ema_vae_fp16.safetensors"),
    }
    upscale = node("SeedVR2VideoUpscaler", image=link("v"), dit=link("d"), vae=link("e"), resolution=1080)
    prompt = {"v": loader, **models, "s": upscale, "o": saved("s")}
    work = only(prompt, NodeKind.UPSCALE, sizes={"a.mp4": Size(854, 480, 81)})
    assert work.family == "seedvr2-7b"
    assert set(work.models) == {"seedvr2_ema_7b_fp16.safetensors", "ema_vae_fp16.safetensors"}
    sample = works(SHIPPED["seedvr2-upscale-video"], NodeKind.SAMPLER)[0]
    assert work.tflop > 10 * sample.tflop


def test_frame_interpolation_costs_by_its_output() -> None:
    """An interpolation costs by the frames that come out."""
    prompt = {
        "v": node("VHS_LoadVideo", video="a.mp4"),
        "r": node("RIFE VFI", frames=link("v"), multiplier=4, ckpt_name="rife47.pth"),
        "o": node("VHS_VideoCombine", images=link("r")),
    }
    sizes = {"a.mp4": Size(1280, 720, 100)}
    four = only(prompt, NodeKind.UPSCALE, sizes=sizes).tflop
    prompt["r"]["inputs"]["multiplier"] = 2
    assert four == pytest.approx(2 * only(prompt, NodeKind.UPSCALE, sizes=sizes).tflop)


def test_savers_and_loaders_cost_cpu_time() -> None:
    """Writing a PNG costs more than writing frames of a video, and no node of that kind costs GPU work."""
    picture = {"0": empty(width=1024, height=1024), "1": saved("0")}
    video = {"0": empty(width=1024, height=1024), "1": node("SaveWEBM", images=link("0"))}
    png, frame = only(picture, NodeKind.SAVE), only(video, NodeKind.SAVE)
    assert (png.tflop, frame.tflop) == (0, 0)
    assert png.fixed_s > 3 * frame.fixed_s > 0


def test_loaders_name_the_files_that_they_read() -> None:
    """A loader reads its files, and the nodes behind it need them in the memory."""
    work = job_work(SHIPPED["flux-dev"])
    reads = {each.class_type: each.reads for each in work.nodes if each.kind is NodeKind.LOAD}
    assert reads == {
        "UNETLoader": ("flux1-dev.safetensors",),
        "DualCLIPLoader": ("clip_l.safetensors", "t5xxl_fp16.safetensors"),
        "VAELoader": ("ae.safetensors",),
    }
    assert {each.kind: each.models for each in work.nodes if each.models} == {
        NodeKind.TEXT_ENCODE: ("clip_l.safetensors", "t5xxl_fp16.safetensors"),
        NodeKind.SAMPLER: ("flux1-dev.safetensors",),
        NodeKind.VAE_DECODE: ("ae.safetensors",),
    }


def test_a_pack_with_its_own_loaders_is_understood() -> None:
    """Files of loaders whose input is only called "model" or "model_name" are told apart by the class."""
    prompt = {
        "m": node("WanVideoModelLoader", model="Wan2_1-T2V-14B_fp8.safetensors"),
        "t": node("LoadWanVideoT5TextEncoder", model_name="umt5-xxl-enc-bf16.safetensors"),
        "v": node("WanVideoVAELoader", model_name="Wan2_1_VAE_bf16.safetensors"),
        "e": node("WanVideoEmptyEmbeds", width=832, height=480, num_frames=81),
        "p": node("WanVideoTextEncode", t5=link("t"), positive_prompt="a", negative_prompt="b"),
        "s": node("WanVideoSampler", model=link("m"), image_embeds=link("e"), text_embeds=link("p"), steps=30, cfg=6.0),
        "d": node("WanVideoDecode", vae=link("v"), samples=link("s")),
        "o": node("VHS_VideoCombine", images=link("d")),
    }
    assert only(prompt, NodeKind.SAMPLER).tflop == pytest.approx(60 * 1678, rel=0.05)
    assert only(prompt, NodeKind.VAE_DECODE).models == ("Wan2_1_VAE_bf16.safetensors",)
    assert only(prompt, NodeKind.TEXT_ENCODE).models == ("umt5-xxl-enc-bf16.safetensors",)


def test_api_nodes_take_time_but_no_units() -> None:
    """A node that runs on another machine takes seconds, which are no work of this one."""
    prompt = {"0": empty(), "1": node("FluxProFillNode", image=link("0"), steps=50), "2": saved()}
    work = job_work(prompt, bundled_catalog())
    (api,) = [each for each in work.nodes if each.kind is NodeKind.API]
    assert (api.tflop, api.fixed_s > 1, work.units < 0.5) == (0, True, True)


@pytest.mark.parametrize("class_type", ["SaveLoRA", "SomebodysScheduler", "SigmasSchedulePreview"])
def test_a_node_that_only_names_steps_is_no_sampler(class_type: str) -> None:
    """A node that saves, or that makes a schedule, does not run the steps that it names."""
    prompt = {
        "0": node("UNETLoader", unet_name="v1-5.safetensors"),
        "1": node("TrainLoraNode", steps=5, model=link("0")),
        "2": node(class_type, steps=5, lora=link("1")),
    }
    assert [work.node_id for work in works(prompt, NodeKind.SAMPLER)] == ["1"]
