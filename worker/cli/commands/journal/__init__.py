"""The commands `comfy-worker journal ...`."""
