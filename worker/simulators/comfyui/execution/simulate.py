"""Nodes that this engine can't run: they take time, report steps, and give stand-ins of the right types and sizes."""

from __future__ import annotations

import re
from dataclasses import replace

from worker.simulators.comfyui.classes import coerce, placeholder
from worker.simulators.comfyui.classes.standins import output
from worker.simulators.comfyui.classes.values import Clip, Latent, Masks, Pictures, Sigmas, Trace, trace_of
from worker.simulators.comfyui.classes.widgets import first, flat, number, whole
from worker.simulators.comfyui.execution import cost
from worker.simulators.comfyui.execution.calling import Node, NodeCall, Result
from worker.simulators.comfyui.execution.progress import PreviewImage
from worker.simulators.comfyui.media.model_loading import check_model_files
from worker.simulators.comfyui.settings import PREVIEWS_OFF
from worker.workflow.catalog.node_class import NodeClass

SEEDS = ("seed", "noise_seed")
MODELS = ("ckpt_name", "unet_name", "model_name")
TEXTS = ("text", "prompt", "positive_prompt", "tags", "text_g", "t5xxl", "clip_l")

_RES4LYF_SAMPLER = re.compile(r"(res|deis|ralston|rk)\w*_\d+[ms]|rk_beta|\w+/")
"""Sampler names of RES4LYF, which core samplers can be given too. They send their last step twice (recording 26)."""


def simulated(node_class: NodeClass) -> Node:
    """Return the stand-in for a class that has no function of its own."""
    return sample if is_sampler(node_class) else stand_in


def is_sampler(node_class: NodeClass) -> bool:
    """A class that makes a latent in steps."""
    inputs = node_class.by_name
    makes_latent = any(slot.type == "LATENT" for slot in node_class.outputs)
    in_steps = "sigmas" in inputs or "steps" in inputs
    return makes_latent and in_steps and any(name.startswith("sampler") for name in inputs)


def sample(call: NodeCall) -> Result:
    """Step through, with a preview at each step where the prompt or the engine's start names a method for it."""
    total = step_count(call)
    trace = replace(gathered(call), steps=total)
    latent = replace(measured(call), trace=trace)
    for step in range(1, total + 1):
        call.site.clock.work(cost.step(latent.width, latent.height, latent.batch * latent.length))
        call.step(step, total, _preview(call, latent, step, total))
    if total and _repeats_last_step(call, trace):
        call.step(total, total, _preview(call, latent, total, total))
    return Result(tuple(coerce.of_type(str(slot.type), latent, trace) for slot in call.node_class.outputs))


def stand_in(call: NodeCall) -> Result:
    """Take the time that the node would, and hand on what can be handed on. Raises NodeError for a damaged model."""
    check_model_files(call)
    trace = gathered(call)
    latent = replace(measured(call), trace=trace)
    call.site.clock.work(cost.node(call.node_class, latent.width, latent.height, latent.batch * latent.length))
    return Result(tuple(output(call, slot, latent) for slot in call.node_class.outputs))


def gathered(call: NodeCall) -> Trace:
    """What this call and everything before it say about the picture; the negative prompt speaks last."""
    inputs = call.inputs
    own = Trace(
        seed=next((value for name in SEEDS if isinstance(value := inputs.get(name), int)), None),
        text=next((value for name in TEXTS if isinstance(value := inputs.get(name), str)), ""),
        sampler=value if isinstance(value := inputs.get("sampler_name"), str) else "",
        model=next((value for name in MODELS if isinstance(value := inputs.get(name), str)), ""),
    )
    for _, value in sorted(flat(call), key=lambda item: item[0].startswith("negative")):
        own = own.over(trace_of(value))
    return own


def measured(call: NodeCall) -> Latent:
    """The size and count that the call works on: of what comes in, unless its widgets say otherwise."""
    base = first(call, Latent)
    if base is None:
        clip = first(call, Clip)
        base = coerce.latent(first(call, Pictures) or first(call, Masks) or (clip and clip.pictures))
    scale = number(call, "scale_by", 1.0)
    return replace(
        base,
        width=whole(call, "width", round(base.width * scale)),
        height=whole(call, "height", round(base.height * scale)),
        batch=whole(call, "batch_size", base.batch),
        length=whole(call, "length", base.length),
        channels=16 if "SD3" in call.node_class.name else base.channels,
        seconds=number(call, "seconds", base.seconds),
    )


def step_count(call: NodeCall) -> int:
    """How many steps a sampler makes: of its sigmas where it gets some, else as many as its widgets say."""
    sigmas = first(call, Sigmas)
    total = sigmas.steps if sigmas is not None else whole(call, "steps", coerce.DEFAULT_STEPS)
    start = whole(call, "start_at_step", 0)
    last = min(total, whole(call, "end_at_step", total))
    to_run = whole(call, "steps_to_run", total)
    return max(0, min(last - start, to_run))


def _preview(call: NodeCall, latent: Latent, step: int, total: int) -> PreviewImage | None:
    site = call.site
    if site.preview_method == PREVIEWS_OFF or not site.hub.has_listener(site.client_id):
        return None
    return placeholder.preview((latent.width, latent.height), latent.trace, step, total)


def _repeats_last_step(call: NodeCall, trace: Trace) -> bool:
    return "RES4LYF" in call.node_class.pack or _RES4LYF_SAMPLER.match(trace.sampler) is not None
