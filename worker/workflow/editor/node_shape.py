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
    RECORDED,
    dynamic_options,
    fields_for,
    has_slot,
    is_field,
    option_inputs,
    socket_values,
)
from worker.workflow.editor.input_order import is_order_lost, restore_order
from worker.workflow.editor.javascript import to_js_string
from worker.workflow.json_value import Json, JsonObject

MATCH = "COMFY_MATCHTYPE_V3"
MAX_GROUP_SLOTS = 1000
"""Slots of one autogrow group."""
_LAST_DIGITS = re.compile(r"\d+$")


class NodeShape:
    """The slots and fields of a node: sockets first, then fields. Values and links add and remove dynamic inputs.

    `custom_fields` are the names of inputs of an unknown type that a script of their pack turns into fields.
    """

    def __init__(self, node_class: NodeClass, custom_fields: frozenset[str] = frozenset()) -> None:
        self.node = UiNode("", node_class.name, node_class=node_class)
        self._custom_fields = custom_fields
        self._slot_names_of_file: Sequence[str] = ()
        self._following_values: Sequence[Json] = ()
        self._autogrow_specs: dict[str, InputSpec] = {}
        visible = [spec for spec in node_class.inputs if spec.presence is not Presence.HIDDEN]
        for spec in visible:
            self._add_socket(spec)
        for spec in visible:
            self._add_fields(spec)
        self.node.outputs = [_output_type(output.type) for output in node_class.outputs]
        self.socket_values = tuple(socket_values(visible, {widget.name for widget in self.node.widgets}))
        """For each value that editors before 1.16 saved for the node, whether it belongs to a socket."""

    def apply_to(self, node: UiNode, slot_names: Sequence[str]) -> NodeShape:
        """Give a node its own copy of these slots and fields, and return the shape of that node.

        `slot_names` are the names of the node's slots in the file.
        """
        template, shape = self.node, NodeShape.__new__(NodeShape)  # without __init__, which would build all slots again
        node.node_class = template.node_class
        node.inputs = [Slot(slot.name, slot.type, None, slot.widget) for slot in template.inputs]
        node.widgets = [
            Widget(field.name, field.kind, field.value, field.is_saved, field.is_sent, field.spec)
            for field in template.widgets
        ]
        node.outputs, node.match_groups = list(template.outputs), dict(template.match_groups)
        shape.node, shape._slot_names_of_file, shape._following_values = node, slot_names, ()
        shape._autogrow_specs, shape._custom_fields = dict(self._autogrow_specs), self._custom_fields
        shape.socket_values = self.socket_values
        return shape

    def set_value(self, widget: Widget, value: Value, following: Sequence[Json] = ()) -> None:
        """Set the value of a field. A dynamic combo then gets the inputs of the chosen option.

        `following` are the values that the file has after this one.
        """
        widget.value, self._following_values = value, following
        if widget.kind == DYNAMIC_COMBO and widget.spec:
            self._replace_option_inputs(widget, widget.spec)

    def grow(self, slot: Slot) -> None:
        """Add the next slot to the autogrow group of `slot`, which was linked. Other slots change nothing."""
        group, _, slot_name = slot.name.rpartition(".")
        spec = self._autogrow_specs.get(group)
        number = _slot_number(spec, slot_name) if spec else None
        if spec and number is not None:
            self._add_group_slots(spec, number + 1)

    def _add(self, spec: InputSpec) -> None:
        """Add the sockets and fields of one input."""
        self._add_socket(spec)
        self._add_fields(spec)

    def _is_field(self, spec: InputSpec) -> bool:
        """Return whether an input is a field, by its type or because a script of its pack makes it one."""
        return is_field(spec) or spec.name in self._custom_fields

    def _add_socket(self, spec: InputSpec) -> None:
        """Add the slots of an input. A field is skipped, because `_add_fields` adds its slot."""
        if self._is_field(spec):
            return
        if spec.type == AUTOGROW:
            self._autogrow_specs[spec.name] = spec
            for number in range(_min_slots(spec) + 1):  # the last one is for the next link
                self._add_group_slots(spec, number)
        elif spec.type == MATCH:
            self._add(_with_allowed_types(spec))
            self.node.match_groups.setdefault(str(_template(spec).get("template_id")), []).append(spec.name)
        else:
            self.node.inputs.append(Slot(spec.name, spec.type))

    def _add_fields(self, spec: InputSpec) -> None:
        """Add the fields of an input, and the slot through which a link can feed them. A socket is skipped."""
        if not self._is_field(spec):
            return
        widgets = list(fields_for(spec))
        self.node.widgets += widgets
        if spec.type == DYNAMIC_COMBO:
            self._replace_option_inputs(widgets[0], spec)
        if has_slot(spec) and spec.type != RECORDED:
            self._insert_slot(Slot(spec.name, spec.type, widget=spec.name))

    def _insert_slot(self, slot: Slot) -> None:
        """Append a slot. The slots that an option of a dynamic combo has added before are moved after it."""
        prefix = f"{slot.name}."
        option_slots = [other for other in self.node.inputs if other.name.startswith(prefix)]
        other_slots = [other for other in self.node.inputs if not other.name.startswith(prefix)]
        self.node.inputs = [*other_slots, slot, *option_slots]

    def _replace_option_inputs(self, widget: Widget, spec: InputSpec) -> None:
        """Replace the slots and fields of a dynamic combo's former option by those of its chosen one.

        Slots with the same name keep their link. For an unknown option nothing is added.
        """
        node, prefix = self.node, f"{spec.name}."
        removed = [slot for slot in node.inputs if slot.name.startswith(prefix)]
        slots_before = [slot for slot in node.inputs if not slot.name.startswith(prefix)]
        widgets_before = [other for other in node.widgets if not other.name.startswith(prefix)]
        node.inputs, node.widgets = slots_before, widgets_before
        chosen = widget.value
        if chosen is MISSING or isinstance(chosen, list | dict):
            return
        keys = (chosen, to_js_string(chosen))
        option = next((option for option in dynamic_options(spec) if option.get("key") in keys), None)
        if option is None:
            return
        node.inputs, node.widgets = [], []  # so that they collect the new ones, which are inserted after the combo
        for inner in self._option_inputs(spec.name, option):
            self._add(inner)
        node.widgets = _inserted_after(widgets_before, widget, node.widgets)
        combo_slot = next((slot for slot in slots_before if slot.name == spec.name), None)
        node.inputs = _inserted_after(slots_before, combo_slot, node.inputs)
        self._restore_links(removed)

    def _option_inputs(self, combo: str, option: JsonObject) -> list[InputSpec]:
        """Return the inputs of an option of a dynamic combo in the order that ComfyUI declares."""
        inner = list(option_inputs(combo, option))
        if not is_order_lost(inner):
            return inner
        return restore_order(self.node.type, combo, inner, self._slot_names_of_file, self._following_values)

    def _restore_links(self, removed: list[Slot]) -> None:
        """Give new slots the links of removed slots with the same name."""
        for old in removed:
            slot = self.node.slot(old.name)
            if slot and old.link is not None:
                slot.link = old.link
                self.grow(slot)

    def _add_group_slots(self, spec: InputSpec, number: int) -> None:
        """Add the slots with this number to an autogrow group, unless the group is full.

        They come after the group's other slots. Slots that the group already has are replaced and keep their links.
        """
        node = self.node
        if number >= _max_slots(spec):
            return
        repeated = list(_repeated_inputs(spec))
        for template in repeated:
            name = f"{spec.name}.{_group_slot_name(spec, template.name, number, len(repeated))}"
            before, node.inputs = node.inputs, []
            self._add(_renamed(template, name))
            added = {slot.name: slot for slot in node.inputs}
            for old in before:
                slot = added.get(old.name)
                if slot is not None and slot.link is None:
                    slot.link = old.link
            others = [slot for slot in before if slot.name not in added]
            group = [slot for slot in others if slot.name.startswith(f"{spec.name}.")]
            node.inputs = _inserted_after(others, group[-1] if group else None, node.inputs)


def _inserted_after(rows: list, anchor: object, new_rows: list) -> list:  # type: ignore[type-arg]
    """Return the rows with the new ones after `anchor`, or at the end if the anchor is not among the rows."""
    position = next((index for index, row in enumerate(rows) if row is anchor), len(rows) - 1)
    return [*rows[: position + 1], *new_rows, *rows[position + 1 :]]


def _template(spec: InputSpec) -> JsonObject:
    """Return the option `template` of an input, which describes an autogrow or match group, or an empty object."""
    template = spec.config[1].get("template")
    return template if isinstance(template, dict) else {}


def _repeated_inputs(spec: InputSpec) -> Iterator[InputSpec]:
    """Yield the inputs that an autogrow group repeats, under the names that its template gives them."""
    for presence, section in sections(_template(spec).get("input")):
        for name, definition in section.items():
            template = read_input(name, presence, definition)
            if template and presence is not Presence.HIDDEN:
                yield template


def _listed_slot_names(spec: InputSpec) -> list[Json] | None:
    """Return the slot names that an autogrow group lists, or None if its slots are numbered."""
    names = _template(spec).get("names")
    return names if isinstance(names, list) else None


def _group_slot_name(spec: InputSpec, template_name: str, number: int, template_count: int) -> str:
    """Return the name of the slot with this number in an autogrow group: a listed name, or a prefix and the number.

    The prefix is the name of the repeated input if the group repeats several.
    """
    names = _listed_slot_names(spec)
    if names is not None:
        return str(names[number])
    prefix = _template(spec).get("prefix") if template_count == 1 else template_name
    return f"{prefix if isinstance(prefix, str) else ''}{number}"


def _slot_number(spec: InputSpec, slot_name: str) -> int | None:
    """Return the number of a slot in its autogrow group, or None if the name has none. Counts from 0."""
    names = _listed_slot_names(spec)
    if names is not None:
        return names.index(slot_name) if slot_name in names else None
    digits = _LAST_DIGITS.search(slot_name)
    return int(digits[0]) if digits and len(digits[0]) < 6 else None


def _min_slots(spec: InputSpec) -> int:
    """Return the minimum number of slots of an autogrow group, which is 1 unless the group declares another."""
    minimum = _template(spec).get("min", 1)
    return min(minimum, MAX_GROUP_SLOTS) if isinstance(minimum, int) else 1


def _max_slots(spec: InputSpec) -> int:
    """Return the maximum number of slots of an autogrow group: its listed names, or 100 unless it declares another."""
    names = _listed_slot_names(spec)
    maximum = len(names) if names is not None else _template(spec).get("max", 100)
    return min(maximum, MAX_GROUP_SLOTS) if isinstance(maximum, int) else 100


def _with_allowed_types(spec: InputSpec) -> InputSpec:
    """Return an input of a match group with the types that the group allows, or `*` for all types.

    Links to the other inputs of the group narrow the type later.
    """
    allowed = _template(spec).get("allowed_types")
    return _with_type(spec, spec.name, allowed if isinstance(allowed, str) else "*")


def _renamed(spec: InputSpec, name: str) -> InputSpec:
    """Return a copy of an input with another name."""
    return _with_type(spec, name, spec.config[0])


def _with_type(spec: InputSpec, name: str, kind: Json) -> InputSpec:
    """Return a copy of an input with another name and type. If that is no valid input, return the input itself."""
    changed = read_input(name, spec.presence, [kind, spec.config[1]])
    return spec if changed is None else changed


def _output_type(kind: str | list[Json]) -> str:
    """Return the type of an output: `COMBO` for a list of choices, `*` for one that follows a match group."""
    if isinstance(kind, list):
        return "COMBO"
    return "*" if kind == MATCH else kind
