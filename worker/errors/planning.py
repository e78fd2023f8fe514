"""Errors of the data with which a fleet is planned: the advice on its parameters, and what its workers have learned."""

from __future__ import annotations

from typing import ClassVar


class AdviceError(Exception):
    """Root of the errors of advice. `code` is for programs, the message for people."""

    code: ClassVar[str] = "advice_failed"


class TargetInvalid(AdviceError):
    """The text states no target or no budget. The message has the place and an example."""

    code = "target_invalid"


class MixedClassesError(ValueError):
    """The states do not belong to one class of GPUs."""


class LearnedStateError(ValueError):
    """A learned state cannot be read."""
