"""Errors of ComfyUI, or of its simulator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class PromptRefusedError(Exception):
    """ComfyUI rejected a prompt, or runs only part of it. The fields are those of ComfyUI's response."""

    def __init__(self, error: Mapping[str, Any], node_errors: Mapping[str, Any]) -> None:
        super().__init__(error.get("message", "refused"))
        self.error = error
        self.node_errors = node_errors


class InvalidFault(ValueError):
    """The description of a fault for the embedded engine is invalid. The message lists the valid ones."""
