"""Output nodes of the pack RES4LYF. Each reports what the real node reports."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from worker.simulators.comfyui.classes import coerce, placeholder
from worker.simulators.comfyui.classes.values import Images, trace_of
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeError, NodeFunction, NodeResult
from worker.simulators.comfyui.node_functions.saving import PREVIEW_COMPRESSION, file_comment, write_pngs

PLOT = (640, 480)
NO_STATE = "No state info in latent"


def plot_sigmas(call: NodeCall) -> NodeResult:
    """Write a placeholder plot to temp, with alpha and without metadata. It keeps its suffix as PreviewImage does."""
    sigmas = call.inputs.get("sigmas")
    frames = placeholder.draw(PLOT, trace_of(sigmas), note=f"{coerce.steps(sigmas)} steps")
    images = Images(tuple(frame.convert("RGBA") for frame in frames))
    prefix = "SigmasPreview" + call.context.instances.preview_suffix(call.node_id, call.node_class.name)
    files = write_pngs(images, call.context.folders.save_slots(prefix, "temp"), None, PREVIEW_COMPRESSION)
    return NodeResult((images,), {"images": files})


def show_conditioning(call: NodeCall) -> NodeResult:
    """Report a placeholder text in base64."""
    text = b64encode(file_comment(trace_of(call.inputs.get("conditioning"))).encode()).decode()
    return NodeResult(([text],), {"text": [text]})


def show_latent(call: NodeCall) -> NodeResult:
    """Report a string where ComfyUI expects a list, so that it is split into characters, as by the real node."""
    return NodeResult((NO_STATE,), {"text": NO_STATE})


def save_unet(call: NodeCall) -> NodeResult:
    """Fail for every model, as the real node does on ComfyUI 0.33, because it passes no text encoder."""
    raise NodeError("'NoneType' object has no attribute 'keys'", "AttributeError")


NODES: Mapping[str, NodeFunction] = {
    "ConditioningToBase64": show_conditioning,
    "Latent Display State Info": show_latent,
    "SigmasPreview": plot_sigmas,
    "SigmasSchedulePreview": plot_sigmas,
    "UNetSave": save_unet,
}
