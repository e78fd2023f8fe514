"""Inspire: a picture that its script draws into a field at the moment of queueing."""

from __future__ import annotations

from typing import Final

from worker.workflow.editor.packs.pack import Pack, Sending

_LOADER, _DATA, _PLACEHOLDER = "LoadImage //Inspire", "image_data", "[IMAGE DATA]"
_NOT_IN_THE_FILE = "the browser draws the picture into this field when it queues, and the file has only a placeholder"


def send(sending: Sending) -> None:
    """Leave out the placeholder that the script saves instead of the picture, as the editor does."""
    if sending.node.type == _LOADER and sending.inputs.get(_DATA) == _PLACEHOLDER:
        del sending.inputs[_DATA]
        sending.node.warn(_NOT_IN_THE_FILE, _DATA, "Load the picture with LoadImage, or export in API format.")


INSPIRE: Final = Pack("Inspire", send=send)
