"""Chooses the backends of a job, and runs it on them."""
