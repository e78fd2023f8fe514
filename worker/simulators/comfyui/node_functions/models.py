"""Latents, weights and drawings as files."""

from __future__ import annotations

import json
from collections.abc import Mapping

from worker.simulators.comfyui.classes.values import trace_of
from worker.simulators.comfyui.execution.calling import Node, NodeCall, Result
from worker.simulators.comfyui.media.models import write_safetensors, write_svg, write_weights
from worker.simulators.comfyui.node_functions.saving import comment, metadata, place

LATENT_SCALE = 8


def save_latent(call: NodeCall) -> Result:
    """A latent of zeros in the shape that it would have."""
    latent = call.latent("samples")
    path, saved = place(call, call.text("filename_prefix", "latents/ComfyUI")).next("latent")
    shape = [latent.batch, latent.channels, latent.height // LATENT_SCALE, latent.width // LATENT_SCALE]
    if latent.length > 1:
        shape.insert(2, (latent.length - 1) // 4 + 1)
    path.write_bytes(write_safetensors(shape, {"prompt": json.dumps(call.site.prompt)}))
    return Result((latent,), {"latents": [saved.listed()]})


def save_svg(call: NodeCall) -> Result:
    value = call.inputs.get("svg")
    path, saved = place(call, call.text("filename_prefix", "svg/ComfyUI")).next("svg")
    path.write_bytes(write_svg(comment(trace_of(value))))
    return Result((value,), {"images": [saved.listed()]})


def save_weights(call: NodeCall) -> Result:
    """A model that ComfyUI's folders of models find, and nothing that is reported."""
    path, _ = place(call, call.text("filename_prefix", "ComfyUI")).next("safetensors")
    path.write_bytes(write_weights(metadata(call.site)))
    return Result()


def save_clip(call: NodeCall) -> Result:
    """One file for each text encoder; here there is one."""
    path, _ = place(call, f"{call.text('filename_prefix', 'clip/ComfyUI')}_clip_l").next("safetensors")
    path.write_bytes(write_weights(metadata(call.site)))
    return Result()


def save_extracted_lora(call: NodeCall) -> Result:
    """Nothing is written where there is nothing to extract."""
    wanted = [call.inputs.get("model_diff"), call.inputs.get("text_encoder_diff")]
    return Result() if wanted == [None, None] else save_weights(call)


def save_trained_lora(call: NodeCall) -> Result:
    """The steps are part of the name where they are known; no metadata."""
    steps = call.inputs.get("steps")
    tail = "_" if steps is None else f"_{steps}_steps_"
    slots = place(call, call.text("prefix", "loras/ComfyUI_trained_lora"))
    path, _ = slots.next("safetensors", before=tail)
    path.write_bytes(write_weights({}))
    return Result()


NODES: Mapping[str, Node] = {
    "SaveLatent": save_latent,
    "SaveSVGNode": save_svg,
    "CheckpointSave": save_weights,
    "CLIPSave": save_clip,
    "ImageOnlyCheckpointSave": save_weights,
    "LoraSave": save_extracted_lora,
    "ModelSave": save_weights,
    "SaveLoRA": save_trained_lora,
    "VAESave": save_weights,
}
