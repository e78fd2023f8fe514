"""Estimates of the work that a prompt is."""
