"""AnimateDiff-Evolved and Advanced-ControlNet: fields that only set a node's size or show a warning, never sent."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.packs.pack import Pack, Sending

_SHOWN = frozenset({"ADEAUTOSIZE", "ADEWARN", "ACNAUTOSIZE", "ACNDEPRECATED"})


def send(sending: Sending) -> None:
    """Take away what such fields hold."""
    node_class = sending.node.node_class
    if node_class is None or not ("AnimateDiff" in node_class.pack or "ControlNet" in node_class.pack):
        return
    for spec in node_class.inputs:
        if spec.type in _SHOWN:
            sending.inputs.pop(spec.name, None)


ANIMATEDIFF: Final = Pack("AnimateDiff-Evolved", send=send)
