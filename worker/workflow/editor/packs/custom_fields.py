"""Inputs of a type that the editor does not know, which a script of their pack turns into fields.

The catalog does not distinguish them from sockets, but the file does. Editors since 1.16 save a slot for every input
and mark the slots of fields. Older editors save only the slots of sockets, and the number of values shows the fields.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from worker.workflow.catalog.node_class import AUTOGROW, InputSpec, NodeClass, Presence
from worker.workflow.editor.editor_graph import Slot
from worker.workflow.editor.field_values import without_socket_values
from worker.workflow.editor.fields import FIELDS, field_kind, is_forced_socket
from worker.workflow.editor.input_order import all_fit
from worker.workflow.editor.node_shape import MATCH, NodeShape
from worker.workflow.editor.saved_workflow import SavedNode

_SOCKET_TYPES = frozenset(
    {
        *("*", "MODEL", "CLIP", "VAE", "CONDITIONING", "LATENT", "IMAGE", "MASK", "CONTROL_NET", "CLIP_VISION"),
        *("CLIP_VISION_OUTPUT", "STYLE_MODEL", "UPSCALE_MODEL", "GLIGEN", "AUDIO", "VIDEO", "SAMPLER", "SIGMAS"),
        *("GUIDER", "NOISE", "HOOKS", "MESH", "VOXEL", "PIPE_LINE", "BASIC_PIPE", "DETAILER_PIPE", "SEGS"),
        *("VHS_BatchManager", AUTOGROW),
        MATCH,
    }
)
"""Common types of sockets."""

ShapeFactory = Callable[[frozenset[str]], NodeShape]


def inputs_of_unknown_type(node_class: NodeClass) -> tuple[InputSpec, ...]:
    """Return the inputs of a class that may be custom fields, because the editor does not know their type."""
    return tuple(
        spec
        for spec in node_class.inputs
        if spec.presence is not Presence.HIDDEN
        and spec.type not in _SOCKET_TYPES
        and field_kind(spec) not in FIELDS
        and not is_forced_socket(spec)
    )


def custom_fields(
    unknown: Sequence[InputSpec],
    saved: SavedNode,
    shape_with: ShapeFactory,
    output_types: Callable[[], frozenset[str]],
) -> frozenset[str]:
    """Return the names of the inputs in `unknown` that are fields on this node of the file.

    These are the inputs that the file or the class marks as fields. If the values of the file do not fit them, inputs
    without a slot in the file are fields as well, provided that the values then fit.

    `unknown` are the inputs of a type that the editor does not know. `shape_with` returns the slots and fields of the
    class with a set of such fields. `output_types` returns all types of outputs in the catalog: an input of such a type
    is a socket.
    """
    slots = {slot.name: slot for slot in saved.inputs}
    marked = frozenset(spec.name for spec in unknown if _is_marked_as_field(spec, slots.get(spec.name)))
    absent = [spec for spec in unknown if spec.name not in slots and spec.name not in marked]
    if not absent or not isinstance(saved.values, list):
        return marked
    shape = shape_with(marked)
    if not _lists_required_sockets(shape, saved, {spec.name for spec in absent}) or _fits_all_values(shape, saved):
        return marked
    types = output_types()
    extended = marked | {spec.name for spec in absent if spec.type not in types}
    return extended if _fits_all_values(shape_with(extended), saved) else marked


def _is_marked_as_field(spec: InputSpec, slot: Slot | None) -> bool:
    """Return whether the slot of the file or the class itself says that an input is a field."""
    return (slot is not None and slot.widget is not None) or "widgetType" in spec.config[1]


def _lists_required_sockets(shape: NodeShape, saved: SavedNode, absent: Collection[str]) -> bool:
    """Return whether the file has a slot for every required socket of the class, apart from the inputs in `absent`."""
    saved_names = {slot.name for slot in saved.inputs}
    specs = shape.node.node_class.by_name if shape.node.node_class else {}
    for slot in shape.node.inputs:
        is_socket = slot.widget is None and slot.name not in absent
        spec = specs.get(slot.name)
        is_required = spec is not None and spec.presence is Presence.REQUIRED
        if is_socket and is_required and slot.name not in saved_names:
            return False
    return True


def _fits_all_values(shape: NodeShape, saved: SavedNode) -> bool:
    """Return whether there is a field for each value of the file, and each field can hold its value."""
    values = list(without_socket_values(shape, saved.values)) if isinstance(saved.values, list) else []
    fields = [widget for widget in shape.node.widgets if widget.is_saved]
    specs = [widget.spec for widget in fields if widget.spec is not None]
    return len(values) <= len(fields) and all_fit(specs, values)
