"""Efficiency: seeds that are drawn when the job runs, and values of files from the pack's first version."""

from __future__ import annotations

from typing import Final

from worker.prompt_changes import SeedField
from worker.workflow.editor.editor_graph import MISSING, UiNode, Value
from worker.workflow.editor.field_values import set_field_values
from worker.workflow.editor.javascript import to_js_number
from worker.workflow.editor.node_shape import NodeShape
from worker.workflow.editor.packs.pack_rules import OutgoingNode, PackRules
from worker.workflow.editor.saved_workflow import SavedNode

_SEED_FIELDS: Final = {
    "KSampler (Efficient)": "seed",
    "KSampler Adv. (Efficient)": "noise_seed",
    "KSampler SDXL (Eff.)": "noise_seed",
    "Noise Control Script": "seed",
    "HighRes-Fix Script": "seed",
    "Tiled Upscaler Script": "seed",
}
_STEP_FIELDS = {
    "KSampler (Efficient)": "steps",
    "KSampler Adv. (Efficient)": "start_at_step",
    "KSampler SDXL (Eff.)": "start_at_step",
}
_LOADERS = ("Efficient Loader", "Eff. Loader SDXL")
_HIGHRES, _UPSCALE_TYPES = "HighRes-Fix Script", ("latent", "pixel", "both")
_FIRST_HIGHRES_FIELDS = ("latent_upscaler", "upscale_by", "hires_steps", "denoise", "iterations")
_RANDOM_SEED, _MAX_SEED = -1, 2**50


def set_values(shape: NodeShape, saved: SavedNode) -> bool:
    """Set the fields of a node of Efficiency. Values of files from its first version are moved to the right fields.

    Return False for nodes of other classes.
    """
    name = shape.node.type
    if name in _LOADERS:
        set_field_values(shape, saved)
        _shift_loader_values(shape.node)
    elif name in _STEP_FIELDS:
        set_field_values(shape, saved)
        _shift_sampler_values(shape.node)
    elif name == _HIGHRES:
        _set_highres_values(shape, saved)
    elif name in _SEED_FIELDS:
        set_field_values(shape, saved)
    else:
        return False
    for widget in shape.node.widgets:  # the pack's script replaces the seed control by a button
        widget.kind = "button" if widget.kind == "control" else widget.kind
    return True


def _shift_loader_values(node: UiNode) -> None:
    """Move the values of a file from the first version of the pack, which did not have two of the loader's fields.

    In such a file the first of the two fields, `token_normalization`, holds the number that follows them.
    """
    names = [widget.name for widget in node.widgets]
    position = names.index("token_normalization") if "token_normalization" in names else -1
    if position < 0 or not _is_number(node.widgets[position].value):
        return
    values = [widget.value for widget in node.widgets]
    for index in range(position + 2, len(names)):
        node.widgets[index].value = values[index - 2]
    node.widgets[position].value = "none"
    node.widgets[position + 1].value = "comfy"


def _shift_sampler_values(node: UiNode) -> None:
    """Move the values of a file from the first version of the pack by one field.

    A sampler had one more field at the start and one less at the end then. Numbers are then in the wrong fields, so
    that neither the seed nor the steps are numbers.
    """
    seed, steps = node.widget(_SEED_FIELDS[node.type]), node.widget(_STEP_FIELDS[node.type])
    if seed is None or steps is None or not (_is_nan(seed.value) and _is_nan(steps.value)):
        return
    for widget, following in zip(node.widgets, node.widgets[1:], strict=False):
        widget.value = following.value
    node.widgets[-1].value = "true"


def _set_highres_values(shape: NodeShape, saved: SavedNode) -> None:
    """Set the fields of a HighRes-Fix Script.

    The first version of the pack had other fields at the start. Its values are set by the names of those fields, and
    an upscaler gets its present name.
    """
    values = saved.values if isinstance(saved.values, list) else []
    if not values or values[0] in _UPSCALE_TYPES:
        set_field_values(shape, saved)
        return
    for name, value in zip(_FIRST_HIGHRES_FIELDS, values, strict=False):
        widget = shape.node.widget(name)
        if widget is None:
            continue
        is_upscaler = name == "latent_upscaler" and isinstance(value, str)
        widget.value = str(value).replace("SD-Latent-Upscaler", "city96") if is_upscaler else value


def _is_number(value: Value) -> bool:
    """Return whether a value is a number and not a boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_nan(value: Value) -> bool:
    """Return JavaScript's `isNaN(value)`, which is true for texts that are no numbers."""
    return value is MISSING or (not isinstance(value, bool) and value is not None and to_js_number(value) is None)


def change_inputs(outgoing: OutgoingNode) -> None:
    """Report the seed field of a node whose seed is -1, which means random, and send the lowest seed in its place.

    The job replaces it by a fresh seed when it runs.
    """
    name = _SEED_FIELDS.get(outgoing.node.type, "")
    if name and outgoing.inputs.get(name) == _RANDOM_SEED:
        spec = outgoing.node.node_class.by_name.get(name) if outgoing.node.node_class else None
        low = int(max(spec.min, -_MAX_SEED)) if spec and spec.min is not None else 0
        high = int(min(spec.max, _MAX_SEED)) if spec and spec.max is not None else _MAX_SEED
        outgoing.inputs[name] = low
        outgoing.seeds.append(SeedField(outgoing.flat_node.id, name, low, high))


EFFICIENCY: Final = PackRules("Efficiency", set_values=set_values, change_inputs=change_inputs)
