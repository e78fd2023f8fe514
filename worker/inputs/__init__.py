"""Files of a request, on their way into ComfyUI's input folder."""

from worker.inputs.decode import KeptFile, SentFile, read_inputs
from worker.inputs.names import file_name
from worker.inputs.prepare import InputEngine, Inputs
from worker.inputs.store import ArrivedFiles, InputStore

__all__ = ["ArrivedFiles", "InputEngine", "InputStore", "Inputs", "KeptFile", "SentFile", "file_name", "read_inputs"]
