"""Tests of a ComfyUI that sends malformed responses and frames."""
