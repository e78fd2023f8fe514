"""Seed fields: fields that the editor gives a new number after each run, because their control says `randomize`.

The controls `increment` and `decrement` change a value only after it was sent, so that the first run has the saved one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from worker.prompt_changes import SeedField
from worker.workflow.editor.editor_graph import INSIDE, PRIMITIVE, UiNode, Widget
from worker.workflow.editor.subgraphs.flat_node import FlatNode
from worker.workflow.prompt import Prompt

RANDOMIZE = "randomize"
MAX_SEED = 2**64 - 1
"""The highest seed of a field without a limit of its own."""


def seed_fields(running: Iterable[FlatNode], prompt: Prompt) -> Iterator[SeedField]:
    """Yield the inputs of the prompt that get a fresh seed for every job: integers whose control says `randomize`."""
    for flat_node in running:
        for widget, control in pairwise(flat_node.node.widgets):  # the control is the field directly after the seed
            if control.kind != "control" or widget.kind != "INT":
                continue
            value = prompt[flat_node.id]["inputs"].get(widget.name)
            if not isinstance(value, int | float) or isinstance(value, bool):  # for example a link
                continue
            mode, shared_source = _control_mode(flat_node, widget, control)
            if mode == RANDOMIZE:
                yield SeedField(flat_node.id, widget.name, *_range(widget), shared_source)


def _control_mode(flat_node: FlatNode, widget: Widget, control: Widget) -> tuple[object, str]:
    """Return the control mode of a field, such as "randomize", and the id of the source that it shares or "".

    Fields with the same source get the same seed. The source is a PrimitiveNode, which has a mode of its own, or the
    slot of a subgraph instance, which has none. In the second case the mode of the field inside counts.
    """
    slot = next((slot for slot in flat_node.node.inputs if slot.widget == widget.name), None)
    shared_source = ""
    while slot is not None and slot.link is not None and (link := flat_node.graph.links.get(slot.link)):
        host = flat_node.host
        if link.origin != INSIDE or host is None:  # the link does not come from an input of the subgraph
            origin = flat_node.graph.nodes.get(link.origin)
            if origin is None or origin.type != PRIMITIVE:
                break
            return _primitive_mode(origin), f"{host.id}:{origin.id}" if host else origin.id
        flat_node = host
        slots = host.node.inputs
        slot = slots[link.origin_slot] if 0 <= link.origin_slot < len(slots) else None
        shared_source = f"{host.id} {slot.name}" if slot else ""
    return control.value, shared_source


def _primitive_mode(primitive: UiNode) -> object:
    """Return the control mode of a PrimitiveNode, which is its second saved value, or None."""
    values: Sequence[object] = primitive.values if isinstance(primitive.values, list) else ()
    return values[1] if len(values) > 1 else None


def _range(widget: Widget) -> tuple[int, int]:
    """Return the lowest and the highest seed of a field."""
    spec = widget.spec
    low = 0 if spec is None or spec.min is None else int(spec.min)
    high = MAX_SEED if spec is None or spec.max is None else int(spec.max)
    return low, max(low, high)
