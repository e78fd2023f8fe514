"""Wrong arguments of a command."""

from __future__ import annotations

import typer


class UsageFailure(typer.BadParameter):
    """A wrong argument, with a next step that is more useful than the command's help."""

    def __init__(self, message: str, step: str) -> None:
        super().__init__(message)
        self.step = step
