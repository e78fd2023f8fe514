"""Warnings about saved values that no field takes, except for values that the editor only displays."""

from __future__ import annotations

from collections.abc import Iterable

from worker.workflow.editor.editor_graph import MISSING, UiNode, Value
from worker.workflow.editor.fields import is_forced_socket

_MAX_LENGTH, _MAX_SHOWN = 60, 3
_EMPTY: tuple[Value, ...] = (None, MISSING, "", {}, [])
_BUTTONS = ("image", "upload", "okay")
_DISPLAYED = ("/view?", "/api/view?", "<tr>")
_DISPLAY_CLASSES = frozenset({"Animation Builder (mtb)", "easy imageInterrogator"})
"""Classes whose script adds texts for buttons and for the results of the last run."""


def warn_of_unused_values(node: UiNode, values: Iterable[Value]) -> None:
    """Add a warning to the node that lists the values, which no field takes.

    No warning is added if the values are only displayed in the editor, or if one of the harmless cases explains them.
    """
    unused = [value for value in values if not is_display_only(value)]
    if not unused or any(is_harmless(node, unused) for is_harmless in _HARMLESS_CASES):
        return
    shown = ", ".join(_short_repr(value) for value in unused[:_MAX_SHOWN])
    more = f" and {len(unused) - _MAX_SHOWN} more" if len(unused) > _MAX_SHOWN else ""
    node.warn(f"no input takes these values of the file: {shown}{more}")


def is_display_only(value: Value) -> bool:
    """Return whether a value is only displayed in the editor and is no input of the prompt.

    Such values are empty, the label of a button, the address of a preview, or rows of a table.
    """
    if isinstance(value, str):
        return not value.strip() or value in _BUTTONS or value.startswith(_DISPLAYED)
    return value in _EMPTY


def _are_shown_results(node: UiNode, unused: list[Value]) -> bool:
    """Return whether the unused values are results of an earlier run that the node displays.

    Only output nodes display results. The values must be texts of several words, or the node must have no fields.
    """
    are_texts = all(isinstance(value, str) for value in unused)
    if node.type in _DISPLAY_CLASSES:
        return are_texts
    is_output_node = node.node_class is not None and node.node_class.output_node
    have_several_words = are_texts and all(" " in str(value) or "\n" in str(value) for value in unused)
    has_fields = any(widget.is_saved for widget in node.widgets)
    return is_output_node and (have_several_words or not has_fields)


def _are_repeats_of_last_field(node: UiNode, unused: list[Value]) -> bool:
    """Return whether the unused values repeat the last field's value. Some versions of the editor saved it twice."""
    fields = [widget for widget in node.widgets if widget.is_saved]
    return bool(fields) and all(value == fields[-1].value for value in unused)


def _are_socket_values(node: UiNode, unused: list[Value]) -> bool:
    """Return whether the unused values may belong to inputs without a field. Editors before 1.16 saved such values.

    This is so if there are at most as many values as such inputs after the last field.
    """
    inputs = node.node_class.inputs if node.node_class else ()
    fields = {widget.name for widget in node.widgets}
    last_field = max((index for index, spec in enumerate(inputs) if spec.name in fields), default=-1)
    return len(unused) <= sum(is_forced_socket(spec) for spec in inputs[last_field + 1 :])


def _are_speech_switches(node: UiNode, unused: list[Value]) -> bool:
    """Return whether the unused values are the switches that a pack for speech adds below multiline texts.

    They are not harmless if a field for a boolean holds a text: then all values have probably moved by one field.
    """
    are_switches = all(value is True or value in ([False, True], [True, False]) for value in unused)
    is_shifted = any(widget.kind == "BOOLEAN" and isinstance(widget.value, str) for widget in node.widgets)
    return are_switches and not is_shifted and len(unused) <= sum(widget.is_multiline for widget in node.widgets)


_HARMLESS_CASES = (_are_shown_results, _are_repeats_of_last_field, _are_socket_values, _are_speech_switches)


def _short_repr(value: Value) -> str:
    """Return the value as Python writes it, cut to _MAX_LENGTH characters."""
    text = repr(value)
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}…"
