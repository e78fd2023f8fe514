"""Files that ComfyUI saved, read for the workflow that it wrote into them."""

from worker.workflow.embedded_metadata.embedded_workflow import (
    EmbeddedWorkflow,
    extract_workflow,
    read_embedded_workflow,
    read_workflow_file,
)

__all__ = ["EmbeddedWorkflow", "extract_workflow", "read_embedded_workflow", "read_workflow_file"]
