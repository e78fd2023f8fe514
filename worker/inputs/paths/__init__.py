"""Checks of the paths in a workflow, given as texts or by links."""
