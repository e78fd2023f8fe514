"""Variables of worker-comfyui, values that RunPod left as they were, and variables that contradict each other."""
