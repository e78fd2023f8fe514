"""Makes a prompt for each public measurement: from a template of the package, or from the nodes that it needs.

What was measured with another engine is written as the same job would be in ComfyUI.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.load.speed.point import SpeedPoint
from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt
from worker.workflow.templates.fill import fill
from worker.workflow.templates.template import Library

NO_NEGATIVE, NEGATIVE = 1.0, 5.0
"""Guidance with which ComfyUI evaluates the model once, and twice, in each step."""
SEED = 1


def link(node_id: str, slot: int = 0) -> list[Json]:
    """Return a link to an output of a node."""
    return [node_id, slot]


def node(class_type: str, **inputs: Any) -> Node:  # noqa: ANN401 - JSON
    """Return a node with these inputs."""
    return {"class_type": class_type, "inputs": inputs}


@dataclass(frozen=True, slots=True)
class Parts:
    """The files and the latent of a family without a template.

    A checkpoint (`encoder_type` is empty) contains everything. A `reference` is a picture beside the prompt.
    """

    model: str
    encoder_type: str = ""
    encoder: str = ""
    vae: str = ""
    latent: str = "EmptySD3LatentImage"
    reference: bool = False
    control: str = ""


WAN = ("wan", "umt5_xxl.safetensors", "wan_2.1_vae.safetensors", "EmptyHunyuanLatentVideo")
"""Type and file of the text encoder, VAE and latent of Wan 2.1."""
PARTS: dict[str, Parts] = {
    "sd1": Parts("v1-5-pruned-emaonly-fp16.safetensors", latent="EmptyLatentImage"),
    "sd1-control": Parts(
        "v1-5-pruned-emaonly-fp16.safetensors", latent="EmptyLatentImage", control="control_v11p_sd15_canny.safetensors"
    ),
    "sd3": Parts("sd3_medium_incl_clips_t5xxlfp16.safetensors"),
    "sd3.5-medium": Parts("sd3.5_medium.safetensors"),
    "flux-kontext": Parts(
        "flux1-dev-kontext.safetensors", "flux", "t5xxl_fp16.safetensors", "ae.safetensors", reference=True
    ),
    "flux2": Parts("flux2_dev.safetensors", "flux2", "mistral_3_small.safetensors", "flux2-vae.safetensors"),
    "flux2-klein-4b": Parts("flux-2-klein-4b.safetensors", "flux2", "qwen_3_4b.safetensors", "flux2-vae.safetensors"),
    "wan-14b": Parts("wan2.1_t2v_14B_bf16.safetensors", *WAN),
    "wan-vace": Parts("wan2.1_vace_14B_fp16.safetensors", *WAN),
    "wan-1.3b": Parts("wan2.1_t2v_1.3B_bf16.safetensors", *WAN),
    "wan-5b": Parts("wan2.2_ti2v_5B_fp16.safetensors", *WAN[:2], "wan2.2_vae.safetensors", WAN[3]),
    "hunyuan-video": Parts(
        "hunyuan_video_t2v_720p_bf16.safetensors",
        "hunyuan_video",
        "llava_llama3_fp16.safetensors",
        "hunyuan_video_vae_bf16.safetensors",
        "EmptyHunyuanLatentVideo",
    ),
    "ltx": Parts("ltx-video-2b-v0.9.safetensors", latent="EmptyLTXVLatentVideo"),
}
"""Files of families without a template, as ComfyUI's documentation names them."""

TEMPLATES = {
    "sd1": "sd15",
    "sdxl": "sdxl",
    "instantid": "instantid",
    "flux": "flux-dev",
    "qwen-image": "qwen-image-2512",
    "qwen-edit": "qwen-image-edit",
    "z-image": "z-image-turbo",
    "wan2.2": "wan22-t2v",
    "wan2.2-i2v": "wan22-i2v",
    "upscale": "upscale",
}


def prompt_of(point: SpeedPoint, library: Library) -> Prompt:
    """Return the prompt of a measurement."""
    form = _form(point)
    prompt = _from_template(point, form, library) if form in TEMPLATES else _from_parts(point, form)
    for change in _CHANGES.get(point.option, ()), _PRECISION.get(point.precision, ()):
        for apply in change:
            apply(prompt)
    return prompt


def _form(point: SpeedPoint) -> str:
    """Return the template or the parts that a measurement needs."""
    if point.family == "sd1" and "controlnet" in point.model:
        return "sd1-control"
    if "instantid" in point.model:
        return "instantid"
    if point.model.startswith("sd3.5-medium"):
        return "sd3.5-medium"
    if point.family == "wan-14b":
        if "vace" in point.model:
            return "wan-vace"
        return ("wan2.2-i2v" if "i2v" in point.model else "wan2.2") if "wan2.2" in point.model else "wan-14b"
    return point.family


def _from_template(point: SpeedPoint, form: str, library: Library) -> Prompt:
    """Return the prompt of a template, with the sizes and steps of a measurement."""
    template = library[TEMPLATES[form]]
    cfg = NEGATIVE if point.passes == 2 else NO_NEGATIVE
    values: dict[str, Any] = {
        "prompt": "a lighthouse",
        "image": "example.png",
        "width": point.width,
        "height": point.height,
        "steps": point.steps,
        "cfg": cfg,
        "seconds": (point.frames - 1) / 16,
        "seed": SEED,
    }
    used = {name: value for name, value in values.items() if name in template.by_name}
    prompt = fill(template, used, lambda below: 0).prompt
    for each in prompt.values():  # more than the template allows
        if "batch_size" in each["inputs"]:
            each["inputs"]["batch_size"] = point.batch
    if form == "upscale":  # the template reads a file; the picture of a measurement has a size
        prompt["9"] = node("EmptyImage", width=point.width, height=point.height, batch_size=1, color=0)
        prompt["1"]["inputs"]["model_name"] = "4x-UltraSharp.pth"
    return prompt


def _from_parts(point: SpeedPoint, form: str) -> Prompt:
    """Return the prompt of a measurement without a template."""
    if form.startswith("seedvr2"):
        return _seedvr2(point)
    parts = PARTS[form]
    cfg = NEGATIVE if point.passes == 2 else NO_NEGATIVE
    size = {"width": point.width, "height": point.height, "batch_size": point.batch}
    if point.frames > 1:
        size["length"] = point.frames
    prompt: Prompt = _loaders(parts) | {
        "text": node("CLIPTextEncode", text="a lighthouse", clip=link("clip", 0 if parts.encoder_type else 1)),
        "negative": node("CLIPTextEncode", text="blurry", clip=link("clip", 0 if parts.encoder_type else 1)),
        "latent": node(parts.latent, **size),
        "sampler": node(
            "KSampler",
            model=link("model"),
            positive=link("text"),
            negative=link("negative"),
            latent_image=link("latent"),
            steps=point.steps,
            cfg=cfg,
            sampler_name="euler",
            scheduler="simple",
            denoise=1.0,
            seed=SEED,
        ),
        "decode": node("VAEDecode", samples=link("sampler"), vae=link("vae", 0 if parts.vae else 2)),
        "save": node("SaveImage", images=link("decode"), filename_prefix="x"),
    }
    return prompt | _beside_the_prompt(prompt, parts, point)


def _loaders(parts: Parts) -> Prompt:
    """Return the nodes that load the files of a family."""
    if not parts.encoder_type:
        checkpoint = node("CheckpointLoaderSimple", ckpt_name=parts.model)
        return {"model": checkpoint, "clip": checkpoint, "vae": checkpoint}
    return {
        "model": node("UNETLoader", unet_name=parts.model, weight_dtype="default"),
        "clip": node("CLIPLoader", clip_name=parts.encoder, type=parts.encoder_type),
        "vae": node("VAELoader", vae_name=parts.vae),
    }


def _beside_the_prompt(prompt: Prompt, parts: Parts, point: SpeedPoint) -> Prompt:
    """Return the nodes of a reference picture or a ControlNet, and link the sampler to them."""
    added: Prompt = {}
    if parts.reference:
        added["picture"] = node("EmptyImage", width=point.width, height=point.height, batch_size=1, color=0)
        added["encode"] = node("VAEEncode", pixels=link("picture"), vae=link("vae"))
        added["reference"] = node("ReferenceLatent", conditioning=link("text"), latent=link("encode"))
    if parts.control:
        added["picture"] = node("EmptyImage", width=point.width, height=point.height, batch_size=1, color=0)
        added["control"] = node("ControlNetLoader", control_net_name=parts.control)
        added["reference"] = node(
            "ControlNetApplyAdvanced",
            positive=link("text"),
            negative=link("negative"),
            control_net=link("control"),
            image=link("picture"),
            strength=1.0,
            start_percent=0.0,
            end_percent=1.0,
        )
    if added:
        prompt["sampler"]["inputs"]["positive"] = link("reference")
    return added


def _seedvr2(point: SpeedPoint) -> Prompt:
    """Return the prompt of the SeedVR2 pack for a video whose output has the size of a measurement."""
    return {
        "video": node("EmptyImage", width=point.width, height=point.height, batch_size=point.frames, color=0),
        "dit": node("SeedVR2LoadDiTModel", model="seedvr2_ema_3b_fp16.safetensors"),
        "vae": node("SeedVR2LoadVAEModel", model="ema_vae_fp16.safetensors"),
        "upscale": node(
            "SeedVR2VideoUpscaler",
            image=link("video"),
            dit=link("dit"),
            vae=link("vae"),
            resolution=min(point.width, point.height),
            batch_size=point.frames,
        ),
        "save": node("SaveImage", images=link("upscale"), filename_prefix="x"),
    }


def _use_tensorrt(prompt: Prompt) -> None:
    """Upscale with TensorRT."""
    for upscale in prompt.values():
        if upscale["class_type"] == "ImageUpscaleWithModel":
            upscale["class_type"] = "UpscalerTensorrt"


def _compile(prompt: Prompt) -> None:
    """Compile the model of the sampler."""
    for sampler in [each for each in prompt.values() if "Sampler" in each["class_type"]]:
        prompt["compile"] = node("TorchCompileModel", model=sampler["inputs"]["model"], backend="inductor")
        sampler["inputs"]["model"] = link("compile")


def _weights(dtype: str) -> Callable[[Prompt], None]:
    """Return a change that loads the model with weights of a type."""

    def change(prompt: Prompt) -> None:
        for loader in prompt.values():
            if loader["class_type"] == "UNETLoader":
                loader["inputs"]["weight_dtype"] = dtype

    return change


def _use_gguf(prompt: Prompt) -> None:
    """Load the model from a GGUF file."""
    for loader in prompt.values():
        if loader["class_type"] == "UNETLoader":
            loader["class_type"] = "UnetLoaderGGUF"
            loader["inputs"]["unet_name"] = f"{loader['inputs']['unet_name']}-Q5_K_M.gguf"


_CHANGES: dict[str, tuple[Callable[[Prompt], None], ...]] = {
    "tensorrt": (_use_tensorrt,),
    "compile": (_compile,),
    "gguf": (_use_gguf,),
}
_PRECISION: dict[str, tuple[Callable[[Prompt], None], ...]] = {
    "fp8mm": (_weights("fp8_e4m3fn_fast"),),
    "fp8": (_weights("fp8_e4m3fn"),),
}
"""Changes of a prompt that show in ComfyUI what a measurement used."""
