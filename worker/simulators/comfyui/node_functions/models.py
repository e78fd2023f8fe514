"""Nodes that save latents, model weights and SVG drawings. The files are placeholders of the right format."""

from __future__ import annotations

import json
from collections.abc import Mapping

from worker.simulators.comfyui.classes.values import trace_of
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeFunction, NodeResult
from worker.simulators.comfyui.media.models import write_safetensors, write_svg, write_weights
from worker.simulators.comfyui.node_functions.saving import file_comment, output_slots, workflow_metadata

LATENT_SCALE = 8


def save_latent(call: NodeCall) -> NodeResult:
    """Save a latent of zeros in the shape of the real one."""
    latent = call.latent("samples")
    path, saved = output_slots(call, call.text("filename_prefix", "latents/ComfyUI")).next("latent")
    shape = [latent.batch, latent.channels, latent.height // LATENT_SCALE, latent.width // LATENT_SCALE]
    if latent.length > 1:  # a video latent has one entry for its first frame, and one for every four others
        shape.insert(2, (latent.length - 1) // 4 + 1)
    path.write_bytes(write_safetensors(shape, {"prompt": json.dumps(call.context.prompt)}))
    return NodeResult((latent,), {"latents": [saved.as_json()]})


def save_svg(call: NodeCall) -> NodeResult:
    """Save a placeholder drawing."""
    value = call.inputs.get("svg")
    path, saved = output_slots(call, call.text("filename_prefix", "svg/ComfyUI")).next("svg")
    path.write_bytes(write_svg(file_comment(trace_of(value))))
    return NodeResult((value,), {"images": [saved.as_json()]})


def save_weights(call: NodeCall) -> NodeResult:
    """Save a placeholder model, without reporting it."""
    path, _ = output_slots(call, call.text("filename_prefix", "ComfyUI")).next("safetensors")
    path.write_bytes(write_weights(workflow_metadata(call.context)))
    return NodeResult()


def save_clip(call: NodeCall) -> NodeResult:
    """Save one placeholder text encoder. The real node saves one file for each."""
    path, _ = output_slots(call, f"{call.text('filename_prefix', 'clip/ComfyUI')}_clip_l").next("safetensors")
    path.write_bytes(write_weights(workflow_metadata(call.context)))
    return NodeResult()


def save_extracted_lora(call: NodeCall) -> NodeResult:
    """Save a placeholder LoRA. No file is written when both inputs are missing."""
    sources = [call.inputs.get("model_diff"), call.inputs.get("text_encoder_diff")]
    return NodeResult() if sources == [None, None] else save_weights(call)


def save_trained_lora(call: NodeCall) -> NodeResult:
    """Save a placeholder LoRA without metadata. Its name contains the number of steps when that is known."""
    steps = call.inputs.get("steps")
    separator = "_" if steps is None else f"_{steps}_steps_"
    slots = output_slots(call, call.text("prefix", "loras/ComfyUI_trained_lora"))
    path, _ = slots.next("safetensors", separator=separator)
    path.write_bytes(write_weights({}))
    return NodeResult()


NODES: Mapping[str, NodeFunction] = {
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
