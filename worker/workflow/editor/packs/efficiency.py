"""Efficiency: seeds that are drawn when the job is queued, and values of files from its first version."""

from __future__ import annotations

from typing import Final

from worker.prompt_changes import SeedField
from worker.workflow.editor.editor_graph import MISSING, UiNode, Value
from worker.workflow.editor.javascript import as_number
from worker.workflow.editor.packs.pack import Pack, Sending
from worker.workflow.editor.saved import SavedNode
from worker.workflow.editor.shape import Shape
from worker.workflow.editor.values import give_values

_SEEDS: Final = {
    "KSampler (Efficient)": "seed",
    "KSampler Adv. (Efficient)": "noise_seed",
    "KSampler SDXL (Eff.)": "noise_seed",
    "Noise Control Script": "seed",
    "HighRes-Fix Script": "seed",
    "Tiled Upscaler Script": "seed",
}
_STEPS = {
    "KSampler (Efficient)": "steps",
    "KSampler Adv. (Efficient)": "start_at_step",
    "KSampler SDXL (Eff.)": "start_at_step",
}
_LOADERS = ("Efficient Loader", "Eff. Loader SDXL")
_HIGHRES, _UPSCALES = "HighRes-Fix Script", ("latent", "pixel", "both")
_FIRST_HIGHRES = ("latent_upscaler", "upscale_by", "hires_steps", "denoise", "iterations")
_RANDOM, _LIMIT = -1, 2**50


def give(shape: Shape, saved: SavedNode) -> bool:
    """Set the fields, and move the values of a file from the pack's first version to where they belong now."""
    name = shape.node.type
    if name in _LOADERS:
        give_values(shape, saved)
        _move_loader(shape.node)
    elif name in _STEPS:
        give_values(shape, saved)
        _move_sampler(shape.node)
    elif name == _HIGHRES:
        _give_highres(shape, saved)
    elif name in _SEEDS:
        give_values(shape, saved)
    else:
        return False
    for widget in shape.node.widgets:  # its script puts a button where other seeds have what becomes of them
        widget.kind = "button" if widget.kind == "control" else widget.kind
    return True


def _move_loader(node: UiNode) -> None:
    """Two fields are new; the first version had the sizes in their place."""
    names = [widget.name for widget in node.widgets]
    place = names.index("token_normalization") if "token_normalization" in names else -1
    if place < 0 or not _is_number(node.widgets[place].value):
        return
    values = [widget.value for widget in node.widgets]
    for index in range(place + 2, len(names)):
        node.widgets[index].value = values[index - 2]
    node.widgets[place].value = "none"
    node.widgets[place + 1].value = "comfy"


def _move_sampler(node: UiNode) -> None:
    """The first field is gone; the last one is new."""
    seed, steps = node.widget(_SEEDS[node.type]), node.widget(_STEPS[node.type])
    if seed is None or steps is None or not (_is_text(seed.value) and _is_text(steps.value)):
        return
    for widget, following in zip(node.widgets, node.widgets[1:], strict=False):
        widget.value = following.value
    node.widgets[-1].value = "true"


def _give_highres(shape: Shape, saved: SavedNode) -> None:
    values = saved.values if isinstance(saved.values, list) else []
    if not values or values[0] in _UPSCALES:
        give_values(shape, saved)
        return
    for name, value in zip(_FIRST_HIGHRES, values, strict=False):
        widget = shape.node.widget(name)
        if widget is not None:
            named = name == "latent_upscaler" and isinstance(value, str)
            widget.value = str(value).replace("SD-Latent-Upscaler", "city96") if named else value


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: Value) -> bool:
    """JavaScript's `isNaN`."""
    return value is MISSING or (not isinstance(value, bool) and value is not None and as_number(value) is None)


def send(sending: Sending) -> None:
    """Let the least seed stand for one that is drawn when the job runs."""
    name = _SEEDS.get(sending.node.type, "")
    if name and sending.inputs.get(name) == _RANDOM:
        spec = sending.node.node_class.by_name.get(name) if sending.node.node_class else None
        low = int(max(spec.min, -_LIMIT)) if spec and spec.min is not None else 0
        high = int(min(spec.max, _LIMIT)) if spec and spec.max is not None else _LIMIT
        sending.inputs[name] = low
        sending.seeds.append(SeedField(sending.place.id, name, low, high))


EFFICIENCY: Final = Pack("Efficiency", give=give, send=send)
