"""The commands `comfy-worker deploy ...`."""
