"""Files of a request, on their way into ComfyUI's input folder."""

from worker.inputs.decode import check_name, read_input, read_inputs
from worker.inputs.prepare import Inputs

__all__ = ["Inputs", "check_name", "read_input", "read_inputs"]
