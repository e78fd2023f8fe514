"""Thousands of jobs through the stand-in for RunPod, while calls fail and workers are stopped and killed."""
