"""Errors of `comfy-worker modal init`."""

from __future__ import annotations

from typing import ClassVar


class MigrationError(Exception):
    """An app cannot be read, or the new one cannot be written. The message names the file and the reason."""

    code: ClassVar[str] = "migration_failed"
