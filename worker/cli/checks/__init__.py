"""The checks of `comfy-worker doctor`. Each returns findings."""
