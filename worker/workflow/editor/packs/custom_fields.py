"""Inputs that only a script of their pack makes fields, because their type is none that the editor knows.

The catalog does not tell them from sockets; the file does. Editors since 1.16 list a slot for every input and say which
stand for fields. Older ones list the sockets alone, and the number of values tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from worker.workflow.catalog.node_class import AUTOGROW, InputSpec, NodeClass, Presence
from worker.workflow.editor.fields import FIELDS, forced, kind_of
from worker.workflow.editor.order import all_fit
from worker.workflow.editor.saved import SavedNode
from worker.workflow.editor.shape import MATCH, Shape
from worker.workflow.editor.values import without_dummies

_SOCKETS = frozenset(
    {
        *("*", "MODEL", "CLIP", "VAE", "CONDITIONING", "LATENT", "IMAGE", "MASK", "CONTROL_NET", "CLIP_VISION"),
        *("CLIP_VISION_OUTPUT", "STYLE_MODEL", "UPSCALE_MODEL", "GLIGEN", "AUDIO", "VIDEO", "SAMPLER", "SIGMAS"),
        *("GUIDER", "NOISE", "HOOKS", "MESH", "VOXEL", "PIPE_LINE", "BASIC_PIPE", "DETAILER_PIPE", "SEGS"),
        *("VHS_BatchManager", AUTOGROW),
        MATCH,
    }
)
"""Common types that are never fields."""

ShapeOf = Callable[[frozenset[str]], Shape]


def of_unknown_type(node_class: NodeClass) -> tuple[InputSpec, ...]:
    """Return the inputs of a class that may be fields of a type that the editor does not know."""
    return tuple(
        spec
        for spec in node_class.inputs
        if spec.presence is not Presence.HIDDEN
        and spec.type not in _SOCKETS
        and kind_of(spec) not in FIELDS
        and not forced(spec)
    )


def custom_fields(
    unknown: Sequence[InputSpec], saved: SavedNode, shape_of: ShapeOf, made: Callable[[], frozenset[str]]
) -> frozenset[str]:
    """Return the names of those inputs that are fields on this node of the file; `made` are types of outputs."""
    slots = {slot.name: slot for slot in saved.inputs}
    named = {spec.name for spec in unknown if _is_named(spec, slots[spec.name].widget if spec.name in slots else None)}
    absent = [spec.name for spec in unknown if spec.name not in slots and spec.name not in named]
    sure = frozenset(named)
    if not absent or not isinstance(saved.values, list) or not _lists_sockets(shape_of(sure), saved, absent):
        return sure
    if _explains(shape_of(sure), saved):
        return sure
    types = made()
    more = sure | {spec.name for spec in unknown if spec.name in absent and spec.type not in types}
    return more if _explains(shape_of(more), saved) else sure


def _is_named(spec: InputSpec, slot_for: str | None) -> bool:
    return slot_for is not None or "widgetType" in spec.config[1]


def _lists_sockets(shape: Shape, saved: SavedNode, absent: Sequence[str]) -> bool:
    """Whether the file lists the slots that the class requires, but for those that are absent."""
    names = {slot.name for slot in saved.inputs}
    sockets = [slot.name for slot in shape.node.inputs if slot.widget is None and slot.name not in absent]
    specs = shape.node.node_class.by_name if shape.node.node_class else {}
    required = [name for name in sockets if name in specs and specs[name].presence is Presence.REQUIRED]
    return all(name in names for name in required)


def _explains(shape: Shape, saved: SavedNode) -> bool:
    """Whether the fields take all values of the file, each one that it can hold."""
    values = list(without_dummies(shape, saved.values)) if isinstance(saved.values, list) else []
    fields = [widget for widget in shape.node.widgets if widget.saved]
    specs = [widget.spec for widget in fields if widget.spec is not None]
    return len(values) <= len(fields) and all_fit(specs, values)
