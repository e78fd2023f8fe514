"""The commands `comfy-worker proxy ...`."""
