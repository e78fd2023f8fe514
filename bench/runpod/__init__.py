"""What the queue of RunPod adds between two jobs: this worker and RunPod's SDK, on the same stand-in."""
