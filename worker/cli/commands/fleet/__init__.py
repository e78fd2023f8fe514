"""The commands `comfy-worker fleet ...`."""
