"""Validation of prompts, without an engine."""
