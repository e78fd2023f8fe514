"""The backend for a queue-based endpoint of RunPod."""
