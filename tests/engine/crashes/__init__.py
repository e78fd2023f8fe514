"""Tests of what the worker remembers of the deaths of its engines."""
