"""What ComfyUI, or the simulator of it, refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class PromptRefusedError(Exception):
    """ComfyUI does not run a prompt, or runs only part of it. The fields are ComfyUI's own."""

    def __init__(self, error: Mapping[str, Any], node_errors: Mapping[str, Any]) -> None:
        super().__init__(error.get("message", "refused"))
        self.error = error
        self.node_errors = node_errors


class InvalidFault(ValueError):
    """A fault of the embedded engine can't be read. The message says what can."""
