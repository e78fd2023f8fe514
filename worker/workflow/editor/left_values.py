"""Values of the file that no field takes: named to the client, unless they are only what the editor shows."""

from __future__ import annotations

from collections.abc import Iterable

from worker.workflow.editor.live import MISSING, UiNode, Value

_LONGEST, _MOST = 60, 3
_EMPTY: tuple[Value, ...] = (None, MISSING, "", {}, [])
_BUTTONS = ("image", "upload", "okay")
_PREVIEWS = ("/view?", "/api/view?")


def warn_of_rest(node: UiNode, rest: Iterable[Value]) -> None:
    """Warn of values that no field takes, unless they are only what the editor shows: buttons, lines, results."""
    left = [value for value in rest if not is_decoration(value)]
    if not left or _shows_results(node) or _repeats_last(node, left):
        return
    shown = ", ".join(_shortened(value) for value in left[:_MOST])
    more = f" and {len(left) - _MOST} more" if len(left) > _MOST else ""
    node.warn(f"no input takes these values of the file: {shown}{more}")


def is_decoration(value: Value) -> bool:
    """Whether a value is only what the editor shows: a button, an address, nothing."""
    if isinstance(value, str):
        return not value.strip() or value in _BUTTONS or value.startswith(_PREVIEWS)
    return value in _EMPTY


def _shows_results(node: UiNode) -> bool:
    """Whether a node has nothing to set and ends a workflow: its values are what it last showed."""
    made = node.node_class
    return made is not None and made.output_node and not any(widget.saved for widget in node.widgets)


def _repeats_last(node: UiNode, left: list[Value]) -> bool:
    """Whether the values repeat the last field's, as some versions of the editor saved it twice."""
    fields = [widget for widget in node.widgets if widget.saved]
    return bool(fields) and all(value == fields[-1].value for value in left)


def _shortened(value: Value) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
