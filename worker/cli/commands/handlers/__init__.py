"""`comfy-worker handlers`: commands for apps with handlers."""
