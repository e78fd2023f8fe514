"""The slots and fields that a class gives a node, and how they change with values and links."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from worker.workflow.catalog.node_class import (
    AUTOGROW,
    DYNAMIC_COMBO,
    InputSpec,
    NodeClass,
    Presence,
    read_input,
    sections,
)
from worker.workflow.editor.editor_graph import MISSING, Slot, UiNode, Value, Widget
from worker.workflow.editor.fields import (
    CONTROL,
    RECORDED,
    dynamic_options,
    fields_for,
    has_slot,
    is_field,
    is_forced_socket,
)
from worker.workflow.editor.input_order import is_order_lost, restore_order
from worker.workflow.editor.javascript import to_js_string
from worker.workflow.json_value import Json, JsonObject

MATCH = "COMFY_MATCHTYPE_V3"
MAX_GROUP_SLOTS = 1000
"""Slots of one autogrow group."""
_UPLOAD_FLAGS = ("image_upload", "video_upload", "animated_image_upload", "audio_upload")
_ORDINAL = re.compile(r"\d+$")


class NodeShape:
    """The slots and fields of a node: sockets first, then fields. Values and links add and remove dynamic inputs.

    `fields` are the names of inputs of an unknown type that a script of their pack turns into fields.
    """

    def __init__(self, node_class: NodeClass, fields: frozenset[str] = frozenset()) -> None:
        self.node = UiNode("", node_class.name, node_class=node_class)
        self._fields = fields
        self._saved: Sequence[str] = ()
        self._following: Sequence[Json] = ()
        self._groups: dict[str, InputSpec] = {}
        visible = [spec for spec in node_class.inputs if spec.presence is not Presence.HIDDEN]
        for spec in visible:
            self._add_socket(spec)
        for spec in visible:
            self._add_fields(spec)
        self.node.outputs = [_output_type(output.type) for output in node_class.outputs]
        self.socket_values = tuple(_socket_values(visible, {widget.name for widget in self.node.widgets}))

    def apply_to(self, node: UiNode, saved: Sequence[str]) -> NodeShape:
        """Give a node its own copy of the slots and fields, and return its shape.

        `saved` are the names of the slots in the file.
        """
        template, shape = self.node, NodeShape.__new__(NodeShape)
        node.node_class = template.node_class
        node.inputs = [Slot(slot.name, slot.type, None, slot.widget) for slot in template.inputs]
        node.widgets = [
            Widget(field.name, field.kind, field.value, field.is_saved, field.is_sent, field.spec)
            for field in template.widgets
        ]
        node.outputs, node.match_groups = list(template.outputs), dict(template.match_groups)
        shape.node, shape._saved, shape._following = node, saved, ()
        shape._groups, shape.socket_values, shape._fields = dict(self._groups), self.socket_values, self._fields
        return shape

    def set_value(self, widget: Widget, value: Value, following: Sequence[Json] = ()) -> None:
        """Set the value of a field. A dynamic combo replaces the inputs of its option, and links stay by name.

        `following` are the values that were saved behind this one.
        """
        widget.value, self._following = value, following
        if widget.kind == DYNAMIC_COMBO and widget.spec:
            self._choose(widget, widget.spec)

    def grow(self, slot: Slot) -> None:
        """Add the next slot to an autogrow group after a link was added to `slot`."""
        group = slot.name.rpartition(".")[0]
        spec = self._groups.get(group)
        ordinal = _ordinal_of(spec, slot.name[len(group) + 1 :]) if spec else None
        if spec and ordinal is not None:
            self._grow_group(spec, ordinal + 1)

    def _add(self, spec: InputSpec) -> None:
        """Add the sockets and fields of one input."""
        self._add_socket(spec)
        self._add_fields(spec)

    def _is_field(self, spec: InputSpec) -> bool:
        """Return whether an input is a field, by its type or because a script of its pack makes it one."""
        return is_field(spec) or spec.name in self._fields

    def _add_socket(self, spec: InputSpec) -> None:
        """Add the slots of an input that is not a field."""
        if self._is_field(spec):
            return
        if spec.type == AUTOGROW:
            self._groups[spec.name] = spec
            for ordinal in range(_min_slots(spec) + 1):
                self._grow_group(spec, ordinal)
        elif spec.type == MATCH:
            self._add(_with_allowed_types(spec))
            self.node.match_groups.setdefault(str(_template(spec).get("template_id")), []).append(spec.name)
        else:
            self.node.inputs.append(Slot(spec.name, spec.type))

    def _add_fields(self, spec: InputSpec) -> None:
        """Add the fields of an input, and the slot through which a link can feed them."""
        if not self._is_field(spec):
            return
        widgets = list(fields_for(spec))
        self.node.widgets += widgets
        if spec.type == DYNAMIC_COMBO:
            self._choose(widgets[0], spec)
        if has_slot(spec) and spec.type != RECORDED:
            self._insert_slot(Slot(spec.name, spec.type, widget=spec.name))

    def _insert_slot(self, slot: Slot) -> None:
        """Append a slot. The slots of a dynamic combo's option move behind it."""
        inner = [other for other in self.node.inputs if other.name.startswith(f"{slot.name}.")]
        if inner:
            self.node.inputs = [other for other in self.node.inputs if not other.name.startswith(f"{slot.name}.")]
        self.node.inputs += [slot, *inner]

    def _choose(self, widget: Widget, spec: InputSpec) -> None:
        """Replace the inputs of a dynamic combo by those of its chosen option."""
        node, prefix = self.node, f"{spec.name}."
        removed = [slot for slot in node.inputs if slot.name.startswith(prefix)]
        node.inputs = [slot for slot in node.inputs if not slot.name.startswith(prefix)]
        node.widgets = [other for other in node.widgets if not other.name.startswith(prefix)]
        chosen = widget.value
        if chosen is MISSING or isinstance(chosen, list | dict):
            return
        keys = (chosen, to_js_string(chosen))
        option = next((option for option in dynamic_options(spec) if option.get("key") in keys), None)
        if option is None:
            return
        slots_before, widgets_before = node.inputs, node.widgets
        node.inputs, node.widgets = [], []
        for inner in self._option_inputs(spec.name, option):
            self._add(inner)
        node.widgets = _inserted(widgets_before, widget, node.widgets)
        combo = next((slot for slot in slots_before if slot.name == spec.name), None)
        node.inputs = _inserted(slots_before, combo, node.inputs)
        self._restore_links(removed)

    def _option_inputs(self, combo: str, option: JsonObject) -> list[InputSpec]:
        """Return the inputs of an option in their original order."""
        inner = list(_inner_specs(combo, option))
        if not is_order_lost(inner):
            return inner
        return restore_order(self.node.type, combo, inner, self._saved, self._following)

    def _restore_links(self, removed: list[Slot]) -> None:
        """Give new slots the links of removed slots with the same name."""
        for old in removed:
            slot = self.node.slot(old.name)
            if slot and old.link is not None:
                slot.link = old.link
                self.grow(slot)

    def _grow_group(self, spec: InputSpec, ordinal: int) -> None:
        """Add the slots with this number to an autogrow group. Slots that the group already has keep their links."""
        node = self.node
        if ordinal >= _max_slots(spec):
            return
        templates = list(_templates(spec))
        for template in templates:
            name = f"{spec.name}.{_slot_name(spec, template.name, ordinal, len(templates))}"
            before = node.inputs
            node.inputs = []
            self._add(_renamed(template, name))
            added = {slot.name: slot for slot in node.inputs}
            for old in before:
                slot = added.get(old.name)
                if slot is not None and slot.link is None:
                    slot.link = old.link
            kept = [slot for slot in before if slot.name not in added]
            group = [slot for slot in kept if slot.name.startswith(f"{spec.name}.")]
            node.inputs = _inserted(kept, group[-1] if group else None, node.inputs)


def _socket_values(specs: Sequence[InputSpec], fields: set[str]) -> Iterator[bool]:
    """Yield, for each value that editors before 1.16 saved, whether it belongs to a socket."""
    for spec in specs:
        if spec.name in fields or is_forced_socket(spec):
            yield is_forced_socket(spec)
            if spec.config[1].get(CONTROL):
                yield False
        if spec.presence is Presence.REQUIRED and any(spec.config[1].get(flag) is True for flag in _UPLOAD_FLAGS):
            yield False  # the upload button


def _inserted(rows: list, anchor: object, new_rows: list) -> list:  # type: ignore[type-arg]
    """Return the rows with the new ones behind the anchor, or at the end if the anchor is not among them."""
    position = next((index for index, row in enumerate(rows) if row is anchor), len(rows) - 1)
    return [*rows[: position + 1], *new_rows, *rows[position + 1 :]]


def _inner_specs(combo: str, option: JsonObject) -> Iterator[InputSpec]:
    """Yield the visible inputs of an option, named `combo.input`."""
    for presence, section in sections(option.get("inputs")):
        for name, definition in section.items():
            spec = read_input(f"{combo}.{name}", presence, definition)
            if spec and presence is not Presence.HIDDEN:
                yield spec


def _template(spec: InputSpec) -> JsonObject:
    """Return the template of an autogrow or match input, or an empty one."""
    template = spec.config[1].get("template")
    return template if isinstance(template, dict) else {}


def _templates(spec: InputSpec) -> Iterator[InputSpec]:
    """Yield the inputs that an autogrow group repeats."""
    for presence, section in sections(_template(spec).get("input")):
        for name, definition in section.items():
            template = read_input(name, presence, definition)
            if template and presence is not Presence.HIDDEN:
                yield template


def _slot_names(spec: InputSpec) -> list[Json] | None:
    """Return the slot names that an autogrow group lists, or None if its slots are numbered."""
    names = _template(spec).get("names")
    return names if isinstance(names, list) else None


def _slot_name(spec: InputSpec, template: str, ordinal: int, templates: int) -> str:
    """Return the name of the slot with this number in an autogrow group."""
    names = _slot_names(spec)
    if names is not None:
        return str(names[ordinal])
    prefix = _template(spec).get("prefix") if templates == 1 else template
    return f"{prefix if isinstance(prefix, str) else ''}{ordinal}"


def _ordinal_of(spec: InputSpec, name: str) -> int | None:
    """Return the number of a slot in its autogrow group, or None if the name has none."""
    names = _slot_names(spec)
    if names is not None:
        return names.index(name) if name in names else None
    digits = _ORDINAL.search(name)
    return int(digits[0]) if digits and len(digits[0]) < 6 else None


def _min_slots(spec: InputSpec) -> int:
    """Return the number of slots that an autogrow group has at least."""
    minimum = _template(spec).get("min", 1)
    return min(minimum, MAX_GROUP_SLOTS) if isinstance(minimum, int) else 1


def _max_slots(spec: InputSpec) -> int:
    """Return the number of slots that an autogrow group has at most."""
    names = _slot_names(spec)
    maximum = len(names) if names is not None else _template(spec).get("max", 100)
    return min(maximum, MAX_GROUP_SLOTS) if isinstance(maximum, int) else 100


def _with_allowed_types(spec: InputSpec) -> InputSpec:
    """Return a slot of a match group with the types that the group allows. Links narrow the type later."""
    allowed = _template(spec).get("allowed_types")
    return _with_type(spec, spec.name, allowed if isinstance(allowed, str) else "*")


def _renamed(spec: InputSpec, name: str) -> InputSpec:
    """Return a copy of an input with another name."""
    return _with_type(spec, name, spec.config[0])


def _with_type(spec: InputSpec, name: str, kind: Json) -> InputSpec:
    """Return a copy of an input with another name and type."""
    changed = read_input(name, spec.presence, [kind, spec.config[1]])
    return spec if changed is None else changed


def _output_type(kind: str | list[Json]) -> str:
    """Return the type of an output: `COMBO` for a list of choices, `*` for one that follows a match group."""
    if isinstance(kind, list):
        return "COMBO"
    return "*" if kind == MATCH else kind
