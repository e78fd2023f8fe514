"""Files that ComfyUI saved, read for the workflow that it wrote into them."""

from worker.workflow.embedded_metadata.embedded_workflow import (
    EmbeddedWorkflow,
    read_embedded_workflow,
    read_file,
    workflow_in,
)

__all__ = ["EmbeddedWorkflow", "read_embedded_workflow", "read_file", "workflow_in"]
