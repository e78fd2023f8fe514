"""Workflows and parameters that can't be read. Dialects and the command line turn them into errors of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class PromptError(ValueError):
    """The workflow is not a prompt, or has no such node or input."""

    def __init__(
        self, message: str, node_id: str | None = None, input_name: str | None = None, suggestion: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.node_id = node_id
        self.input_name = input_name
        self.suggestion = suggestion


class UiFormatError(PromptError):
    """The workflow is in the editor's format (`nodes` and `links`) and has to be converted first."""


@dataclass(frozen=True, slots=True)
class ValueProblem:
    """A value that does not fit a template's parameter.

    `message` continues a sentence that names the parameter. `path` leads into a list (`loras.0.strength`).
    """

    message: str
    cure: str
    path: str


class ParamsError(ValueError):
    """The values do not fit the template."""

    def __init__(self, template: str, problems: Sequence[ValueProblem]) -> None:
        self.template = template
        self.problems = tuple(problems)
        super().__init__("; ".join(f"parameter {found.path!r} {found.message}" for found in problems[:3]))
