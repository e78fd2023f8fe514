"""Errors of the advice on the parameters of a fleet."""

from __future__ import annotations

from typing import ClassVar


class AdviceError(Exception):
    """Root of the errors of advice. `code` is for programs, the message for people."""

    code: ClassVar[str] = "advice_failed"


class TargetInvalid(AdviceError):
    """The text states no target or no budget. The message has the place and an example."""

    code = "target_invalid"
