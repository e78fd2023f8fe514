"""The slots and fields of a node, as its class makes them, and how they change with values and links."""

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
from worker.workflow.editor.fields import CONTROL, RECORDED, fields_of, forced, has_slot, is_field, options_of
from worker.workflow.editor.javascript import as_text
from worker.workflow.editor.order import lost, restore
from worker.workflow.json_value import Json, JsonObject

MATCH = "COMFY_MATCHTYPE_V3"
MOST_GROWN = 1000
_UPLOADS = ("image_upload", "video_upload", "animated_image_upload", "audio_upload")
_ORDINAL = re.compile(r"\d+$")


class Shape:
    """A node's slots and fields. The class makes sockets first, then fields; dynamic inputs come and go.

    `fields` are names of inputs that only a script of their pack makes fields: their type does not tell.
    """

    def __init__(self, node_class: NodeClass, fields: frozenset[str] = frozenset()) -> None:
        self.node = UiNode("", node_class.name, node_class=node_class)
        self._fields = fields
        self._saved: Sequence[str] = ()
        self._ahead: Sequence[Json] = ()
        self._groups: dict[str, InputSpec] = {}
        visible = [spec for spec in node_class.inputs if spec.presence is not Presence.HIDDEN]
        for spec in visible:
            self._add_socket(spec)
        for spec in visible:
            self._add_fields(spec)
        self.node.outputs = [_output_type(output.type) for output in node_class.outputs]
        self.dummies = tuple(_dummies(visible, {widget.name for widget in self.node.widgets}))

    def for_node(self, node: UiNode, saved: Sequence[str]) -> Shape:
        """Give a node the slots and fields that its class makes; `saved` are the names of the slots in the file."""
        made, shape = self.node, Shape.__new__(Shape)
        node.node_class = made.node_class
        node.inputs = [Slot(slot.name, slot.type, None, slot.widget) for slot in made.inputs]
        node.widgets = [Widget(one.name, one.kind, one.value, one.saved, one.sent, one.spec) for one in made.widgets]
        node.outputs, node.matched = list(made.outputs), dict(made.matched)
        shape.node, shape._saved, shape._ahead = node, saved, ()
        shape._groups, shape.dummies, shape._fields = dict(self._groups), self.dummies, self._fields
        return shape

    def set_value(self, widget: Widget, value: Value, ahead: Sequence[Json] = ()) -> None:
        """Give a field its value; a dynamic combo exchanges what its option adds, and links stay with their names.

        `ahead` are the values that were saved behind this one.
        """
        widget.value, self._ahead = value, ahead
        if widget.kind == DYNAMIC_COMBO and widget.spec:
            self._choose(widget, widget.spec)

    def grow(self, slot: Slot) -> None:
        """Where something is linked into a slot of an autogrow group, the next slot appears."""
        group = slot.name.rpartition(".")[0]
        spec = self._groups.get(group)
        ordinal = _ordinal_of(spec, slot.name[len(group) + 1 :]) if spec else None
        if spec and ordinal is not None:
            self._grow_group(spec, ordinal + 1)

    def _add(self, spec: InputSpec) -> None:
        self._add_socket(spec)
        self._add_fields(spec)

    def _is_field(self, spec: InputSpec) -> bool:
        return is_field(spec) or spec.name in self._fields

    def _add_socket(self, spec: InputSpec) -> None:
        if self._is_field(spec):
            return
        if spec.type == AUTOGROW:
            self._groups[spec.name] = spec
            for ordinal in range(_least(spec) + 1):
                self._grow_group(spec, ordinal)
        elif spec.type == MATCH:
            typed = _typed(spec)
            self._add(typed)
            self.node.matched.setdefault(str(_template(spec).get("template_id")), []).append(spec.name)
        else:
            self.node.inputs.append(Slot(spec.name, spec.type))

    def _add_fields(self, spec: InputSpec) -> None:
        if not self._is_field(spec):
            return
        widgets = list(fields_of(spec))
        self.node.widgets += widgets
        if spec.type == DYNAMIC_COMBO:
            self._choose(widgets[0], spec)
        if has_slot(spec) and spec.type != RECORDED:
            self._insert_slot(Slot(spec.name, spec.type, widget=spec.name))

    def _insert_slot(self, slot: Slot) -> None:
        """Behind whatever is there, except that what a dynamic combo adds stands behind the combo."""
        inner = [one for one in self.node.inputs if one.name.startswith(f"{slot.name}.")]
        if inner:
            self.node.inputs = [one for one in self.node.inputs if not one.name.startswith(f"{slot.name}.")]
        self.node.inputs += [slot, *inner]

    def _choose(self, widget: Widget, spec: InputSpec) -> None:
        node, inside = self.node, f"{spec.name}."
        removed = [slot for slot in node.inputs if slot.name.startswith(inside)]
        node.inputs = [slot for slot in node.inputs if not slot.name.startswith(inside)]
        node.widgets = [one for one in node.widgets if not one.name.startswith(inside)]
        chosen = widget.value
        if chosen is MISSING or isinstance(chosen, list | dict):
            return
        option = next((one for one in options_of(spec) if one.get("key") in (chosen, as_text(chosen))), None)
        if option is None:
            return
        slots_before, widgets_before = node.inputs, node.widgets
        node.inputs, node.widgets = [], []
        for inner in self._inner(spec.name, option):
            self._add(inner)
        node.widgets = _behind(widgets_before, widget, node.widgets)
        combo = next((slot for slot in slots_before if slot.name == spec.name), None)
        node.inputs = _behind(slots_before, combo, node.inputs)
        self._link_again(removed)

    def _inner(self, combo: str, option: JsonObject) -> list[InputSpec]:
        inner = list(_inner_specs(combo, option))
        return restore(self.node.type, combo, inner, self._saved, self._ahead) if lost(inner) else inner

    def _link_again(self, removed: list[Slot]) -> None:
        for old in removed:
            slot = self.node.slot(old.name)
            if slot and old.link is not None:
                slot.link = old.link
                self.grow(slot)

    def _grow_group(self, spec: InputSpec, ordinal: int) -> None:
        node = self.node
        if ordinal >= _most(spec):
            return
        templates = list(_templates(spec))
        for template in templates:
            name = f"{spec.name}.{_grown_name(spec, template.name, ordinal, len(templates))}"
            before = node.inputs
            node.inputs = []
            self._add(_renamed(template, name))
            fresh = node.inputs
            for old in before:
                for slot in fresh:
                    if slot.name == old.name and slot.link is None:
                        slot.link = old.link
            kept = [slot for slot in before if all(slot.name != one.name for one in fresh)]
            last = [slot for slot in kept if slot.name.startswith(f"{spec.name}.")]
            node.inputs = _behind(kept, last[-1] if last else None, fresh)


def _dummies(specs: Sequence[InputSpec], names: set[str]) -> Iterator[bool]:
    """For each value that editors before 1.16 saved, whether it stood for what is only a socket."""
    for spec in specs:
        if spec.name in names or forced(spec):
            yield forced(spec)
            if spec.config[1].get(CONTROL):
                yield False
        if spec.presence is Presence.REQUIRED and any(spec.config[1].get(flag) is True for flag in _UPLOADS):
            yield False  # the button


def _behind(rows: list, anchor: object, fresh: list) -> list:  # type: ignore[type-arg]
    place = next((index for index, row in enumerate(rows) if row is anchor), len(rows) - 1)
    return [*rows[: place + 1], *fresh, *rows[place + 1 :]]


def _inner_specs(combo: str, option: JsonObject) -> Iterator[InputSpec]:
    for presence, section in sections(option.get("inputs")):
        for name, written in section.items():
            spec = read_input(f"{combo}.{name}", presence, written)
            if spec and presence is not Presence.HIDDEN:
                yield spec


def _template(spec: InputSpec) -> JsonObject:
    template = spec.config[1].get("template")
    return template if isinstance(template, dict) else {}


def _templates(spec: InputSpec) -> Iterator[InputSpec]:
    for presence, section in sections(_template(spec).get("input")):
        for name, written in section.items():
            one = read_input(name, presence, written)
            if one and presence is not Presence.HIDDEN:
                yield one


def _names(spec: InputSpec) -> list[Json] | None:
    names = _template(spec).get("names")
    return names if isinstance(names, list) else None


def _grown_name(spec: InputSpec, template: str, ordinal: int, templates: int) -> str:
    names = _names(spec)
    if names is not None:
        return str(names[ordinal])
    prefix = _template(spec).get("prefix") if templates == 1 else template
    return f"{prefix if isinstance(prefix, str) else ''}{ordinal}"


def _ordinal_of(spec: InputSpec, name: str) -> int | None:
    names = _names(spec)
    if names is not None:
        return names.index(name) if name in names else None
    digits = _ORDINAL.search(name)
    return int(digits[0]) if digits and len(digits[0]) < 6 else None


def _least(spec: InputSpec) -> int:
    least = _template(spec).get("min", 1)
    return min(least, MOST_GROWN) if isinstance(least, int) else 1


def _most(spec: InputSpec) -> int:
    names = _names(spec)
    most = len(names) if names is not None else _template(spec).get("max", 100)
    return min(most, MOST_GROWN) if isinstance(most, int) else 100


def _typed(spec: InputSpec) -> InputSpec:
    """A slot whose type follows what is linked into its group: as long as nothing is, what the group allows."""
    allowed = _template(spec).get("allowed_types")
    return _rewritten(spec, spec.name, allowed if isinstance(allowed, str) else "*")


def _renamed(spec: InputSpec, name: str) -> InputSpec:
    return _rewritten(spec, name, spec.config[0])


def _rewritten(spec: InputSpec, name: str, kind: Json) -> InputSpec:
    again = read_input(name, spec.presence, [kind, spec.config[1]])
    return spec if again is None else again


def _output_type(kind: str | list[Json]) -> str:
    if isinstance(kind, list):
        return "COMBO"
    return "*" if kind == MATCH else kind
