"""The commands `comfy-worker nodes ...`."""
