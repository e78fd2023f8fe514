"""Comparison of the verdicts of a real ComfyUI's `POST /prompt` with those of `worker.workflow.validation`."""
