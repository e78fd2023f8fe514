"""Fields that the editor gives another number after each run: those whose `control_after_generate` says `randomize`.

`increment` and `decrement` change a value only once it was sent, so that the saved one is what the first run has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from worker.prompt_changes import SeedField
from worker.workflow.editor.editor_graph import INSIDE, PRIMITIVE, UiNode, Widget
from worker.workflow.editor.subgraphs.flat import FlatNode
from worker.workflow.prompt import Prompt

RANDOMIZE = "randomize"
LARGEST = 2**64 - 1
"""Of a field that has no limit of its own."""


def seed_fields(running: Iterable[FlatNode], prompt: Prompt) -> Iterator[SeedField]:
    """Yield the inputs of the prompt that get a fresh seed whenever a job runs."""
    for place in running:
        for widget, control in pairwise(place.node.widgets):
            value = prompt[place.id]["inputs"].get(widget.name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if control.kind != "control" or widget.kind != "INT" or not number:
                continue
            mode, shared = _mode(place, widget, control)
            if mode == RANDOMIZE:
                yield SeedField(place.id, widget.name, *_range(widget), shared)


def _mode(place: FlatNode, widget: Widget, control: Widget) -> tuple[object, str]:
    """What becomes of a field's value, and the field that feeds it together with others, where there is one.

    That is a PrimitiveNode, which has a mode of its own, or the field of a subgraph's instance, which has none: there
    the mode of the field inside counts.
    """
    slot = next((slot for slot in place.node.inputs if slot.widget == widget.name), None)
    shared = ""
    while slot is not None and slot.link is not None and (link := place.graph.links.get(slot.link)):
        if link.origin != INSIDE or place.host is None:
            origin = place.graph.nodes.get(link.origin)
            if origin is None or origin.type != PRIMITIVE:
                break
            return _own_mode(origin), f"{place.host.id}:{origin.id}" if place.host else origin.id
        place = place.host
        slots = place.node.inputs
        slot = slots[link.origin_slot] if 0 <= link.origin_slot < len(slots) else None
        shared = f"{place.id} {slot.name}" if slot else ""
    return control.value, shared


def _own_mode(primitive: UiNode) -> object:
    values: Sequence[object] = primitive.values if isinstance(primitive.values, list) else ()
    return values[1] if len(values) > 1 else None


def _range(widget: Widget) -> tuple[int, int]:
    spec = widget.spec
    low = 0 if spec is None or spec.min is None else int(spec.min)
    high = LARGEST if spec is None or spec.max is None else int(spec.max)
    return low, max(low, high)
