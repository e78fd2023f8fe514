"""Outputs of a run: collected from ComfyUI, converted, delivered."""
