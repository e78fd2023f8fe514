"""Outputs of jobs: collecting them from ComfyUI, converting, and delivering them."""
