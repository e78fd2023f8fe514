"""The values of a node's fields: given in the order of the fields, and mended as the editor does after loading."""

from __future__ import annotations

from worker.workflow.catalog.node_class import COMBO, DYNAMIC_COMBO
from worker.workflow.editor.editor_graph import MISSING, UiNode, Value, Widget
from worker.workflow.editor.fields import choices_of
from worker.workflow.editor.left_values import warn_of_rest
from worker.workflow.editor.saved import SavedNode
from worker.workflow.editor.shape import Shape
from worker.workflow.json_value import Json, JsonObject

_CUSTOM_COMBO = "CustomCombo"


def give_values(shape: Shape, saved: SavedNode) -> None:
    """Set the fields to what the file has; those that it has nothing for keep what their class says."""
    node, values = shape.node, saved.values
    if isinstance(values, dict):
        give_in_order(shape, [values.get(str(place), MISSING) for place in range(_most(shape, values))])
        warn_of_rest(node, [value for name, value in values.items() if not name.isdecimal()])
    elif isinstance(values, list):
        give_in_order(shape, list(without_dummies(shape, values)))
    if node.type == _CUSTOM_COMBO:
        _add_options(node, values if isinstance(values, list) else [])


def repair_values(shape: Shape) -> None:
    """Give a combo without a value its first choice, and samplers of old files their present name."""
    node = shape.node
    for widget in list(node.widgets):
        value = widget.value
        sampler = node.type in ("KSampler", "KSamplerAdvanced") and widget.name == "sampler_name"
        if sampler and isinstance(value, str) and value.startswith("sample_"):
            widget.value = value[len("sample_") :]
        if (value is None or value is MISSING) and widget.spec and widget.kind in (COMBO, DYNAMIC_COMBO):
            choices = choices_of(widget.spec)
            if choices:
                shape.set_value(widget, choices[0])


def give_in_order(shape: Shape, values: list[Value]) -> None:
    """Set the fields one after another, as far as there are values."""
    node, place, given = shape.node, 0, 0
    while given < len(values) and place < len(node.widgets):  # setting one may add more behind it
        widget = node.widgets[place]
        place += 1
        if widget.saved:
            ahead = [one for one in values[given + 1 :] if one is not MISSING] if widget.kind == DYNAMIC_COMBO else ()
            shape.set_value(widget, values[given], ahead)
            given += 1
    if node.type != _CUSTOM_COMBO:
        warn_of_rest(node, values[given:])


def _most(shape: Shape, values: JsonObject) -> int:
    """How many places an object of values stands for: as in JavaScript it has no length, and every field is set."""
    return len(shape.node.widgets) + len(values)


def without_dummies(shape: Shape, values: list[Json]) -> list[Json]:
    """Editors before 1.16 saved a value for inputs that are only sockets; told by the number of values."""
    if len(shape.dummies) != len(values) or True not in shape.dummies:
        return values
    return [value for value, dummy in zip(values, shape.dummies, strict=True) if not dummy]


def _add_options(node: UiNode, values: list[Json]) -> None:
    """A CustomCombo lists its choices in fields of its own, one more than are filled, and sends which was taken."""
    options: list[Json] = []
    for value in values[2:]:
        options.append(value)
        if not value:
            break
    else:
        options.append("")
    choice = node.widgets[0].value if node.widgets else MISSING
    index = next((place for place, option in enumerate(options) if option == choice), -1)
    node.widgets.append(Widget("index", "hidden", index))
    node.widgets += [Widget(f"option{place}", "string", option) for place, option in enumerate(options, 1)]
