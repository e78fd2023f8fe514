"""Readers of the metadata that ComfyUI embeds into its files: the prompt and the workflow."""

from worker.workflow.embedded_metadata.embedded_workflow import (
    EmbeddedWorkflow,
    extract_workflow,
    read_embedded_workflow,
    read_workflow_file,
)

__all__ = ["EmbeddedWorkflow", "extract_workflow", "read_embedded_workflow", "read_workflow_file"]
