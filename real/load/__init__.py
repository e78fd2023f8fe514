"""Comparison of the work that is predicted for a prompt with what a real ComfyUI does."""
