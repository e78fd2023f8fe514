"""Simulation of nodes that need a model: they take time, report steps, and return values of the right type and size."""

from __future__ import annotations

import re
from dataclasses import replace

from worker.simulators.comfyui.classes import coerce, placeholder
from worker.simulators.comfyui.classes.simulated_outputs import simulated_output
from worker.simulators.comfyui.classes.values import Images, Latent, Masks, Sigmas, Trace, Video, trace_of
from worker.simulators.comfyui.classes.widgets import each_input, first_of_type, positive_integer, positive_number
from worker.simulators.comfyui.execution import cost
from worker.simulators.comfyui.execution.node_call import NodeCall, NodeFunction, NodeResult
from worker.simulators.comfyui.execution.progress import PreviewImage
from worker.simulators.comfyui.media.model_loading import check_model_files
from worker.simulators.comfyui.settings import PREVIEWS_OFF
from worker.workflow.catalog.node_class import NodeClass

SEEDS = ("seed", "noise_seed")
MODELS = ("ckpt_name", "unet_name", "model_name")
TEXTS = ("text", "prompt", "positive_prompt", "tags", "text_g", "t5xxl", "clip_l")

_RES4LYF_SAMPLER = re.compile(r"(res|deis|ralston|rk)\w*_\d+[ms]|rk_beta|\w+/")
"""Sampler names of RES4LYF, which ComfyUI's samplers accept too. These report their last step twice (recording 26)."""


def simulated_function(node_class: NodeClass) -> NodeFunction:
    """Return the simulation for a class that has no function of its own."""
    return simulate_sampler if is_sampler(node_class) else simulate_node


def is_sampler(node_class: NodeClass) -> bool:
    """Return whether a class makes a latent in steps."""
    inputs = node_class.by_name
    makes_latent = any(slot.type == "LATENT" for slot in node_class.outputs)
    in_steps = "sigmas" in inputs or "steps" in inputs
    return makes_latent and in_steps and any(name.startswith("sampler") for name in inputs)


def simulate_sampler(call: NodeCall) -> NodeResult:
    """Simulate a sampler: report each step, with a preview if the prompt or the engine has a preview method."""
    total = step_count(call)
    trace = replace(collect_trace(call), steps=total)
    latent = replace(working_size(call), trace=trace)
    for step in range(1, total + 1):
        call.context.clock.work(cost.step_seconds(latent.width, latent.height, latent.batch * latent.length))
        call.step(step, total, _preview(call, latent, step, total))
    if total and _repeats_last_step(call, trace):
        call.step(total, total, _preview(call, latent, total, total))
    return NodeResult(tuple(coerce.convert(str(slot.type), latent, trace) for slot in call.node_class.outputs))


def simulate_node(call: NodeCall) -> NodeResult:
    """Simulate any other node: take its time, and return outputs of its types. Raises NodeError for a damaged model."""
    check_model_files(call)
    trace = collect_trace(call)
    latent = replace(working_size(call), trace=trace)
    call.context.clock.work(
        cost.node_seconds(call.node_class, latent.width, latent.height, latent.batch * latent.length)
    )
    return NodeResult(tuple(simulated_output(call, slot, latent) for slot in call.node_class.outputs))


def collect_trace(call: NodeCall) -> Trace:
    """Return the trace of this call: its own seed, text and model, and missing ones from its inputs.

    Negative prompts are read last, so that their text is used only when there is no other.
    """
    inputs = call.inputs
    trace = Trace(
        seed=next((value for name in SEEDS if isinstance(value := inputs.get(name), int)), None),
        text=next((value for name in TEXTS if isinstance(value := inputs.get(name), str)), ""),
        sampler=value if isinstance(value := inputs.get("sampler_name"), str) else "",
        model=next((value for name in MODELS if isinstance(value := inputs.get(name), str)), ""),
    )
    for _, value in sorted(each_input(call), key=lambda item: item[0].startswith("negative")):
        trace = trace.filled_from(trace_of(value))
    return trace


def working_size(call: NodeCall) -> Latent:
    """Return a latent with the size and count that the call works on.

    They are those of the first latent, image, mask or video among the inputs, unless widgets of the node set others.
    """
    base = first_of_type(call, Latent)
    if base is None:
        video = first_of_type(call, Video)
        video_images = None if video is None else video.images
        base = coerce.latent(first_of_type(call, Images) or first_of_type(call, Masks) or video_images)
    scale = positive_number(call, "scale_by", 1.0)
    return replace(
        base,
        width=positive_integer(call, "width", round(base.width * scale)),
        height=positive_integer(call, "height", round(base.height * scale)),
        batch=positive_integer(call, "batch_size", base.batch),
        length=positive_integer(call, "length", base.length),
        channels=16 if "SD3" in call.node_class.name else base.channels,
        seconds=positive_number(call, "seconds", base.seconds),
    )


def step_count(call: NodeCall) -> int:
    """Return the number of steps that a sampler runs.

    The total is that of its sigmas, or else of its widget `steps`. The widgets `start_at_step`, `end_at_step` and
    `steps_to_run` may select fewer.
    """
    sigmas = first_of_type(call, Sigmas)
    total = sigmas.steps if sigmas is not None else positive_integer(call, "steps", coerce.DEFAULT_STEPS)
    start = positive_integer(call, "start_at_step", 0)
    last = min(total, positive_integer(call, "end_at_step", total))
    steps_to_run = positive_integer(call, "steps_to_run", total)
    return max(0, min(last - start, steps_to_run))


def _preview(call: NodeCall, latent: Latent, step: int, total: int) -> PreviewImage | None:
    """Return the preview of a step. Return None when previews are off, or when no client would receive it."""
    context = call.context
    if context.preview_method == PREVIEWS_OFF or not context.hub.has_listener(context.client_id):
        return None
    return placeholder.draw_preview((latent.width, latent.height), latent.trace, step, total)


def _repeats_last_step(call: NodeCall, trace: Trace) -> bool:
    """Return whether the node reports its last step twice, as RES4LYF does."""
    return "RES4LYF" in call.node_class.pack or _RES4LYF_SAMPLER.match(trace.sampler) is not None
