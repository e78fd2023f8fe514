"""The routes of RunPod's API on the worker's own port."""
