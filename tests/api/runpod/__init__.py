"""Tests of RunPod's routes and of its dialect."""
