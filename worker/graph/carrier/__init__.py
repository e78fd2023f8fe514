"""Files that ComfyUI saved, read for the workflow that it wrote into them."""

from worker.graph.carrier.carried import Carried, read_carrier, workflow_in

__all__ = ["Carried", "read_carrier", "workflow_in"]
