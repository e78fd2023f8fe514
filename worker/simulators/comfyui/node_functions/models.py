"""Latents, 3D models and drawings as files."""

from __future__ import annotations

import json
from collections.abc import Mapping

from worker.simulators.comfyui.classes.values import trace_of
from worker.simulators.comfyui.execution.calling import Node, NodeCall, Result
from worker.simulators.comfyui.media.models import write_glb, write_safetensors, write_svg
from worker.simulators.comfyui.node_functions.saving import comment, place

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


def save_glb(call: NodeCall) -> Result:
    """One triangle, whatever the model."""
    value = call.inputs.get("mesh", call.inputs.get("model_3d"))
    path, saved = place(call, call.text("filename_prefix", "3d/ComfyUI")).next("glb")
    path.write_bytes(write_glb(comment(trace_of(value))))
    return Result((value,), {"3d": [saved.listed()]})


def save_svg(call: NodeCall) -> Result:
    value = call.inputs.get("svg")
    path, saved = place(call, call.text("filename_prefix", "svg/ComfyUI")).next("svg")
    path.write_bytes(write_svg(comment(trace_of(value))))
    return Result((value,), {"images": [saved.listed()]})


NODES: Mapping[str, Node] = {
    "SaveLatent": save_latent,
    "SaveGLB": save_glb,
    "Save3DAdvanced": save_glb,
    "SaveGaussianSplat": save_glb,
    "SavePointCloud": save_glb,
    "SaveSVGNode": save_svg,
}
