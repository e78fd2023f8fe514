"""What `comfy-worker serve` and `onstart` do around the worker's process."""
