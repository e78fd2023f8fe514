"""Impact: lists that add to a text and are themselves always sent as their label, and pictures known by their node."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.packs.pack import Pack, Sending

_LABELS: Final = {
    "Select to add LoRA": "Select the LoRA to add to the text",
    "Select to add Wildcard": "Select the Wildcard to add to the text",
}
_WITH_LISTS = frozenset(
    {
        *("ImpactWildcardEncode", "ImpactWildcardProcessor", "ToDetailerPipe", "ToDetailerPipeSDXL"),
        *("EditDetailerPipe", "EditDetailerPipeSDXL", "BasicPipeToDetailerPipe", "BasicPipeToDetailerPipeSDXL"),
    }
)
_WITH_MODE = ("ImpactWildcardEncode", "ImpactWildcardProcessor")
_SWITCHES = ("ImpactSwitch", "LatentSwitch", "SEGSSwitch", "ImpactInversedSwitch")
_BRIDGES = ("PreviewBridge", "PreviewBridgeLatent")


def send(sending: Sending) -> None:
    """Send what its script makes of the fields."""
    name, inputs = sending.node.type, sending.inputs
    if name in _WITH_LISTS:
        inputs |= {key: label for key, label in _LABELS.items() if key in inputs and not isinstance(inputs[key], list)}
    if name in _WITH_MODE:
        _set_mode(sending)
    if name in _SWITCHES and inputs.get("select") == 0 and any(isinstance(value, list) for value in inputs.values()):
        inputs["select"] = 1  # they count from 1, and older versions did not
    if name in _BRIDGES and str(inputs.get("image") or "$").startswith("$"):
        inputs["image"] = f"${sending.node.id}-0"


def _set_mode(sending: Sending) -> None:
    """The mode was a text before it was a switch."""
    node_class, mode = sending.node.node_class, sending.inputs.get("mode")
    spec = node_class.by_name.get("mode") if node_class else None
    if spec and spec.type == "BOOLEAN" and not isinstance(mode, bool | list):
        sending.inputs["mode"] = mode == "Populate"


IMPACT: Final = Pack("Impact", send=send)
