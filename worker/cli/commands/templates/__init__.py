"""The commands `comfy-worker templates ...`."""
