"""Files of a request, on their way into ComfyUI's input folder."""

from worker.inputs.decode import SentFile, check_name, read_inputs, spellings
from worker.inputs.prepare import InputEngine, Inputs
from worker.inputs.store import ArrivedFiles, InputStore

__all__ = ["ArrivedFiles", "InputEngine", "InputStore", "Inputs", "SentFile", "check_name", "read_inputs", "spellings"]
