"""Errors about what workers have learned about the seconds of nodes."""

from __future__ import annotations


class MixedClassesError(ValueError):
    """The states do not belong to one class of GPUs."""


class LearnedStateError(ValueError):
    """A learned state cannot be read."""
