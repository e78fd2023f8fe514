"""`comfy-worker modal` and its commands."""
