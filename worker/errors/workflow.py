"""Errors about workflows and parameters. Dialects and the command line convert them to errors of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class PromptError(ValueError):
    """The workflow is not a valid prompt, or lacks a node or input that is needed."""

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
    """A value that does not fit a parameter of a template.

    `message` is the end of a sentence that begins with the parameter. `path` may lead into a list: `loras.0.strength`.
    """

    message: str
    cure: str
    path: str


class ParamsError(ValueError):
    """Values do not fit the parameters of a template."""

    def __init__(self, template: str, problems: Sequence[ValueProblem]) -> None:
        self.template = template
        self.problems = tuple(problems)
        super().__init__("; ".join(f"parameter {problem.path!r} {problem.message}" for problem in problems[:3]))
