"""The commands `comfy-worker load ...`."""
