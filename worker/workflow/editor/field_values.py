"""Values of a node's fields: set in the order of the fields, then repaired as the editor does after loading."""

from __future__ import annotations

from worker.workflow.catalog.node_class import COMBO, DYNAMIC_COMBO
from worker.workflow.editor.editor_graph import MISSING, UiNode, Value, Widget
from worker.workflow.editor.fields import choices_of
from worker.workflow.editor.node_shape import NodeShape
from worker.workflow.editor.saved_workflow import SavedNode
from worker.workflow.editor.unused_values import warn_of_unused_values
from worker.workflow.json_value import Json, JsonObject

_CUSTOM_COMBO = "CustomCombo"


def set_field_values(shape: NodeShape, saved: SavedNode) -> None:
    """Set the fields to the values of the file. Fields without a value in the file keep the default of their class."""
    node, values = shape.node, saved.values
    if isinstance(values, dict):
        set_in_order(shape, [values.get(str(index), MISSING) for index in range(_value_count(shape, values))])
        warn_of_unused_values(node, [value for name, value in values.items() if not name.isdecimal()])
    elif isinstance(values, list):
        set_in_order(shape, list(without_socket_values(shape, values)))
    if node.type == _CUSTOM_COMBO:
        _add_combo_options(node, values if isinstance(values, list) else [])


def repair_values(shape: NodeShape) -> None:
    """Give combos without a value their first choice, and rename samplers of old files (`sample_euler` to `euler`)."""
    node = shape.node
    for widget in list(node.widgets):
        value = widget.value
        is_sampler = node.type in ("KSampler", "KSamplerAdvanced") and widget.name == "sampler_name"
        if is_sampler and isinstance(value, str) and value.startswith("sample_"):
            widget.value = value[len("sample_") :]
        if (value is None or value is MISSING) and widget.spec and widget.kind in (COMBO, DYNAMIC_COMBO):
            choices = choices_of(widget.spec)
            if choices:
                shape.set_value(widget, choices[0])


def set_in_order(shape: NodeShape, values: list[Value]) -> None:
    """Set the fields one after another until the values or the fields end. Warn about values that are left over."""
    node, field_index, value_index = shape.node, 0, 0
    while value_index < len(values) and field_index < len(node.widgets):  # setting a field may add more behind it
        widget = node.widgets[field_index]
        field_index += 1
        if widget.is_saved:
            is_dynamic = widget.kind == DYNAMIC_COMBO
            following = [value for value in values[value_index + 1 :] if value is not MISSING] if is_dynamic else ()
            shape.set_value(widget, values[value_index], following)
            value_index += 1
    if node.type != _CUSTOM_COMBO:
        warn_of_unused_values(node, values[value_index:])


def _value_count(shape: NodeShape, values: JsonObject) -> int:
    """Return how many values an object stands for. As in JavaScript it has no length, so that every field is set."""
    return len(shape.node.widgets) + len(values)


def without_socket_values(shape: NodeShape, values: list[Json]) -> list[Json]:
    """Return the values without those of sockets.

    Editors before 1.16 saved a value for such inputs. The number of values shows whether the file has them.
    """
    if len(shape.socket_values) != len(values) or True not in shape.socket_values:
        return values
    return [value for value, is_socket in zip(values, shape.socket_values, strict=True) if not is_socket]


def _add_combo_options(node: UiNode, values: list[Json]) -> None:
    """Add the fields of a CustomCombo: one for each choice and an empty one, and the index of the chosen one."""
    options: list[Json] = []
    for value in values[2:]:
        options.append(value)
        if not value:
            break
    else:
        options.append("")
    choice = node.widgets[0].value if node.widgets else MISSING
    chosen_index = next((index for index, option in enumerate(options) if option == choice), -1)
    node.widgets.append(Widget("index", "hidden", chosen_index))
    node.widgets += [Widget(f"option{number}", "string", option) for number, option in enumerate(options, 1)]
