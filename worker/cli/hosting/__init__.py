"""The processes around a worker's process, for `comfy-worker serve` and `comfy-worker onstart`."""
