"""Impact: lists that are sent as their label, modes and switches of older versions, and images from the browser."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.packs.pack_rules import OutgoingNode, PackRules

_LABELS: Final = {
    "Select to add LoRA": "Select the LoRA to add to the text",
    "Select to add Wildcard": "Select the Wildcard to add to the text",
}
_CLASSES_WITH_LISTS = frozenset(
    {
        *("ImpactWildcardEncode", "ImpactWildcardProcessor", "ToDetailerPipe", "ToDetailerPipeSDXL"),
        *("EditDetailerPipe", "EditDetailerPipeSDXL", "BasicPipeToDetailerPipe", "BasicPipeToDetailerPipeSDXL"),
    }
)
_CLASSES_WITH_MODE = ("ImpactWildcardEncode", "ImpactWildcardProcessor")
_SWITCHES = ("ImpactSwitch", "LatentSwitch", "SEGSSwitch", "ImpactInversedSwitch")
_BRIDGES = ("PreviewBridge", "PreviewBridgeLatent")
_RECEIVER, _IMAGE_FIELD, _KEEP_FIELD, _PLACEHOLDER = "ImageReceiver", "image_data", "save_to_workflow", "[IMAGE DATA]"
_NOT_IN_FILE = "the browser puts the received image into this field, and the file has only a placeholder"


def change_inputs(outgoing: OutgoingNode) -> None:
    """Apply the changes that the script of the Impact pack makes to a node when a workflow is queued."""
    name, inputs = outgoing.node.type, outgoing.inputs
    if name in _CLASSES_WITH_LISTS:  # the choice is already part of the text, so that the label of the list is sent
        inputs |= {key: label for key, label in _LABELS.items() if key in inputs and not isinstance(inputs[key], list)}
    if name in _CLASSES_WITH_MODE:
        _set_mode(outgoing)
    has_link = any(isinstance(value, list) for value in inputs.values())
    if name in _SWITCHES and has_link and inputs.get("select") == 0:
        inputs["select"] = 1  # inputs are numbered from 1, in older versions from 0
    if name in _BRIDGES and str(inputs.get("image") or "$").startswith("$"):
        inputs["image"] = f"${outgoing.node.id}-0"  # the pack's id of the image that this node shows
    if name == _RECEIVER and isinstance(inputs.get(_IMAGE_FIELD), str):
        _set_received_image(outgoing)


def _set_received_image(outgoing: OutgoingNode) -> None:
    """Send the image of the file if the node is set to keep it there, else an empty text.

    The server then reads the image from a folder. Adds a warning if the file has only a placeholder for the image.
    """
    keep_field = outgoing.node.widget(_KEEP_FIELD)
    is_kept = keep_field is not None and bool(keep_field.value)
    is_placeholder = outgoing.inputs[_IMAGE_FIELD] == _PLACEHOLDER
    if is_kept and is_placeholder:
        advice = f"Switch {_KEEP_FIELD} off, or export the workflow in API format."
        outgoing.node.warn(_NOT_IN_FILE, _IMAGE_FIELD, advice)
    if not is_kept or is_placeholder:
        outgoing.inputs[_IMAGE_FIELD] = ""


def _set_mode(outgoing: OutgoingNode) -> None:
    """Convert the mode of files from older versions, which was a text, to the switch that it is now.

    A class that still has a text is not changed.
    """
    node_class, mode = outgoing.node.node_class, outgoing.inputs.get("mode")
    spec = node_class.by_name.get("mode") if node_class else None
    if spec and spec.type == "BOOLEAN" and not isinstance(mode, bool | list):
        outgoing.inputs["mode"] = mode == "Populate"


IMPACT: Final = PackRules("Impact", change_inputs=change_inputs)
