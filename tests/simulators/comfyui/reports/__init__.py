"""Comparison of the reports and files of nodes with those of a real ComfyUI."""
