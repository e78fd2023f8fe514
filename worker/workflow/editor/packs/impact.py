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
_RECEIVER, _DATA, _KEPT, _PLACEHOLDER = "ImageReceiver", "image_data", "save_to_workflow", "[IMAGE DATA]"
_NOT_IN_THE_FILE = "the browser draws the received picture into this field, and the file has only a placeholder"


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
    if name == _RECEIVER and isinstance(inputs.get(_DATA), str):
        _keep_picture(sending)


def _keep_picture(sending: Sending) -> None:
    """Send the picture of the file only where the node says that it keeps one there; else it is read from a folder."""
    kept = sending.node.widget(_KEPT)
    keeps = kept is not None and bool(kept.value)
    if keeps and sending.inputs[_DATA] == _PLACEHOLDER:
        sending.node.warn(_NOT_IN_THE_FILE, _DATA, f"Switch {_KEPT} off, or export the workflow in API format.")
    if not keeps or sending.inputs[_DATA] == _PLACEHOLDER:
        sending.inputs[_DATA] = ""


def _set_mode(sending: Sending) -> None:
    """The mode was a text before it was a switch."""
    node_class, mode = sending.node.node_class, sending.inputs.get("mode")
    spec = node_class.by_name.get("mode") if node_class else None
    if spec and spec.type == "BOOLEAN" and not isinstance(mode, bool | list):
        sending.inputs["mode"] = mode == "Populate"


IMPACT: Final = Pack("Impact", send=send)
