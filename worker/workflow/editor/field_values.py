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
    """Set the fields of a node to the values of the file, and warn about values that no field takes.

    If the file has no values, the fields keep the default of their class.
    """
    node, values = shape.node, saved.values
    if isinstance(values, dict):
        # Some files have an object in place of a list. The keys "0", "1", ... are then the positions.
        count = _max_field_count(shape, values)
        set_in_order(shape, [values.get(str(index), MISSING) for index in range(count)])
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
    """Set the saved fields of a node one after another, and warn about values for which no field is left.

    Fields for which no value is left keep their value. Setting a field may add more fields after it.
    """
    node, field_index, value_index = shape.node, 0, 0
    while value_index < len(values) and field_index < len(node.widgets):
        widget = node.widgets[field_index]
        field_index += 1
        if not widget.is_saved:
            continue
        following: list[Json] = []
        if widget.kind == DYNAMIC_COMBO:  # the inputs that it adds are put into the order that fits these values
            following = [value for value in values[value_index + 1 :] if value is not MISSING]
        shape.set_value(widget, values[value_index], following)
        value_index += 1
    if node.type != _CUSTOM_COMBO:  # its other values are options, for which fields are added later
        warn_of_unused_values(node, values[value_index:])


def _max_field_count(shape: NodeShape, values: JsonObject) -> int:
    """Return an upper bound for the number of fields that a node has while an object of values is applied.

    The editor sets every field, because in JavaScript an object has no length that would end its loop.
    """
    return len(shape.node.widgets) + len(values)


def without_socket_values(shape: NodeShape, values: list[Json]) -> list[Json]:
    """Return the values of a node without those that belong to sockets, which are inputs without a field.

    Editors before 1.16 saved such values. The number of values shows whether the file has them.
    """
    belongs_to_socket = shape.socket_values  # one boolean for each value that such an editor would save
    if len(belongs_to_socket) != len(values) or True not in belongs_to_socket:
        return values
    return [value for value, is_socket in zip(values, belongs_to_socket, strict=True) if not is_socket]


def _add_combo_options(node: UiNode, values: list[Json]) -> None:
    """Add the fields of a CustomCombo: the index of the chosen option, then one field for each option.

    The first two values are those of the choice and of the index. The options follow, and end with an empty one.
    """
    options = values[2:]
    empty_index = next((index for index, option in enumerate(options) if not option), None)
    options = [*options, ""] if empty_index is None else options[: empty_index + 1]
    choice = node.widgets[0].value if node.widgets else MISSING
    chosen_index = next((index for index, option in enumerate(options) if option == choice), -1)
    node.widgets.append(Widget("index", "hidden", chosen_index))
    node.widgets += [Widget(f"option{number}", "string", option) for number, option in enumerate(options, 1)]
