"""AnimateDiff-Evolved and Advanced-ControlNet: fields that set a node's size or show a warning are never sent."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.packs.pack_rules import OutgoingNode, PackRules

_DISPLAY_TYPES = frozenset({"ADEAUTOSIZE", "ADEWARN", "ACNAUTOSIZE", "ACNDEPRECATED"})


def change_inputs(outgoing: OutgoingNode) -> None:
    """Remove the inputs of AnimateDiff-Evolved and Advanced-ControlNet that only display something in the editor.

    They set the size of a node or show a warning. The scripts of the packs never send them.
    """
    node_class = outgoing.node.node_class
    if node_class is None or not ("AnimateDiff" in node_class.pack or "ControlNet" in node_class.pack):
        return
    for spec in node_class.inputs:
        if spec.type in _DISPLAY_TYPES:
            outgoing.inputs.pop(spec.name, None)


ANIMATEDIFF: Final = PackRules("AnimateDiff-Evolved", change_inputs=change_inputs)
