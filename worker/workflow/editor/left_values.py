"""Values of the file that no field takes: named to the client, unless they are only what the editor shows."""

from __future__ import annotations

from collections.abc import Iterable

from worker.workflow.editor.editor_graph import MISSING, UiNode, Value
from worker.workflow.editor.fields import forced

_LONGEST, _MOST = 60, 3
_EMPTY: tuple[Value, ...] = (None, MISSING, "", {}, [])
_BUTTONS = ("image", "upload", "okay")
_SHOWN = ("/view?", "/api/view?", "<tr>")
_SHOWING = frozenset({"Animation Builder (mtb)", "easy imageInterrogator"})
"""Classes whose script adds texts: buttons, and what the last run made."""


def warn_of_rest(node: UiNode, rest: Iterable[Value]) -> None:
    """Warn of values that no field takes, unless nothing is lost with them: the editor only shows them, for one."""
    left = [value for value in rest if not is_decoration(value)]
    if not left or any(harmless(node, left) for harmless in _HARMLESS):
        return
    shown = ", ".join(_shortened(value) for value in left[:_MOST])
    more = f" and {len(left) - _MOST} more" if len(left) > _MOST else ""
    node.warn(f"no input takes these values of the file: {shown}{more}")


def is_decoration(value: Value) -> bool:
    """Whether a value is only what the editor shows: a button, an address, nothing."""
    if isinstance(value, str):
        return not value.strip() or value in _BUTTONS or value.startswith(_SHOWN)
    return value in _EMPTY


def _shows_results(node: UiNode, left: list[Value]) -> bool:
    """Whether the values are what the node last showed: it ends a workflow, and has no fields or is left with texts."""
    texts = all(isinstance(value, str) for value in left)
    if node.type in _SHOWING:
        return texts
    if node.node_class is None or not node.node_class.output_node:
        return False
    several_words = texts and all(" " in str(value) or "\n" in str(value) for value in left)
    return several_words or not any(widget.saved for widget in node.widgets)


def _repeats_last(node: UiNode, left: list[Value]) -> bool:
    """Whether the values repeat the last field's, as some versions of the editor saved it twice."""
    fields = [widget for widget in node.widgets if widget.saved]
    return bool(fields) and all(value == fields[-1].value for value in left)


def _stood_for_sockets(node: UiNode, left: list[Value]) -> bool:
    """Whether the values were saved for inputs behind the last field that are only sockets, as before editor 1.16."""
    inputs = node.node_class.inputs if node.node_class else ()
    fields = {widget.name for widget in node.widgets}
    last = max((place for place, spec in enumerate(inputs) if spec.name in fields), default=-1)
    return len(left) <= sum(forced(spec) for spec in inputs[last + 1 :])


def _are_speech_switches(node: UiNode, left: list[Value]) -> bool:
    """Whether the values are the switches that a pack shows below large texts, and no other value has moved."""
    switches = all(value is True or value in ([False, True], [True, False]) for value in left)
    moved = any(widget.kind == "BOOLEAN" and isinstance(widget.value, str) for widget in node.widgets)
    return switches and not moved and len(left) <= sum(widget.large_text for widget in node.widgets)


_HARMLESS = (_shows_results, _repeats_last, _stood_for_sockets, _are_speech_switches)


def _shortened(value: Value) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
