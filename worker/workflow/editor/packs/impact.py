"""Impact: lists that are sent as their label, modes and switches of older versions, and images from the browser."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.packs.pack_rules import OutgoingNode, PackRules

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
_NOT_IN_FILE = "the browser puts the received image into this field, and the file has only a placeholder"


def change_inputs(outgoing: OutgoingNode) -> None:
    """Apply the changes that the pack's script makes when a workflow is queued."""
    name, inputs = outgoing.node.type, outgoing.inputs
    if name in _WITH_LISTS:
        inputs |= {key: label for key, label in _LABELS.items() if key in inputs and not isinstance(inputs[key], list)}
    if name in _WITH_MODE:
        _set_mode(outgoing)
    if name in _SWITCHES and inputs.get("select") == 0 and any(isinstance(value, list) for value in inputs.values()):
        inputs["select"] = 1  # inputs are numbered from 1, in older versions from 0
    if name in _BRIDGES and str(inputs.get("image") or "$").startswith("$"):
        inputs["image"] = f"${outgoing.node.id}-0"
    if name == _RECEIVER and isinstance(inputs.get(_DATA), str):
        _set_received_image(outgoing)


def _set_received_image(outgoing: OutgoingNode) -> None:
    """Send the file's image only if the node is set to keep one there. Otherwise the server reads it from a folder."""
    keep_field = outgoing.node.widget(_KEPT)
    is_kept = keep_field is not None and bool(keep_field.value)
    if is_kept and outgoing.inputs[_DATA] == _PLACEHOLDER:
        outgoing.node.warn(_NOT_IN_FILE, _DATA, f"Switch {_KEPT} off, or export the workflow in API format.")
    if not is_kept or outgoing.inputs[_DATA] == _PLACEHOLDER:
        outgoing.inputs[_DATA] = ""


def _set_mode(outgoing: OutgoingNode) -> None:
    """Convert the mode of older versions, which was a text, to the switch that it is now."""
    node_class, mode = outgoing.node.node_class, outgoing.inputs.get("mode")
    spec = node_class.by_name.get("mode") if node_class else None
    if spec and spec.type == "BOOLEAN" and not isinstance(mode, bool | list):
        outgoing.inputs["mode"] = mode == "Populate"


IMPACT: Final = PackRules("Impact", change_inputs=change_inputs)
