"""Autoscalers of the platforms. Vast's and RunPod's are closed: these are readings of what they document."""
