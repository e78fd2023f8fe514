"""Inspire: an image that the script puts into a field when the workflow is queued."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.packs.pack_rules import OutgoingNode, PackRules

_LOADER, _IMAGE_FIELD, _PLACEHOLDER = "LoadImage //Inspire", "image_data", "[IMAGE DATA]"
_NOT_IN_FILE = "the browser puts the image into this field when it queues, and the file has only a placeholder"


def change_inputs(outgoing: OutgoingNode) -> None:
    """Remove the placeholder that the Inspire pack saves in place of an image, as the editor does.

    Adds a warning, because the image itself is not in the file.
    """
    if outgoing.node.type == _LOADER and outgoing.inputs.get(_IMAGE_FIELD) == _PLACEHOLDER:
        del outgoing.inputs[_IMAGE_FIELD]
        outgoing.node.warn(
            _NOT_IN_FILE, _IMAGE_FIELD, "Load the image with LoadImage, or export the workflow in API format."
        )


INSPIRE: Final = PackRules("Inspire", change_inputs=change_inputs)
