"""Tests of `comfy-worker proxy`."""
