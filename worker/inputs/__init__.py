"""Input files of a request: reading, checking, storing, and placing them in ComfyUI's input folder."""

from worker.inputs.decode import KeptFile, SentFile, read_inputs
from worker.inputs.form_files import FormFile, read_form
from worker.inputs.placement import PlacedInputs
from worker.inputs.prepare import InputEngine, Inputs, PreparedInputs
from worker.inputs.store import InputStore, ReceivedFiles

__all__ = [
    "FormFile",
    "InputEngine",
    "InputStore",
    "Inputs",
    "KeptFile",
    "PlacedInputs",
    "PreparedInputs",
    "ReceivedFiles",
    "SentFile",
    "read_form",
    "read_inputs",
]
