"""Verdicts of `POST /prompt`: those of a real ComfyUI beside those of `worker.workflow.validation`."""
