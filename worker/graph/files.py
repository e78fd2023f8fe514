"""Whether a file that a prompt names is there: the one question that validation asks of the outside."""

from __future__ import annotations

from typing import Protocol


class FileCheck(Protocol):
    """Knows the files of a machine.

    `folder` is a model folder ("checkpoints", "loras", ...) or "input", "output", "temp"; `name` is relative to it.
    """

    def exists(self, folder: str, name: str) -> bool: ...


class AssumeFiles:
    """Takes every file for present: for engines that make things up and for checks away from the machine."""

    def exists(self, folder: str, name: str) -> bool:
        return True


class AssumeUploads:
    """For a prompt whose pictures are still on their way: those are taken for present, models only where listed."""

    def exists(self, folder: str, name: str) -> bool:
        return folder in {"input", "output", "temp", ""}
