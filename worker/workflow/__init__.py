"""Workflows without any I/O: prompts, catalogs of node classes, validation, repairs, templates."""
