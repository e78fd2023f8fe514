"""The signatures of handlers, as their process reports them, and the check of a call's arguments."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from pydantic import BaseModel

from worker.errors import Detail, InvalidArguments, UnknownHandler
from worker.workflow.nearest import did_you_mean

PORT = "port"
"""Parameter that gets the port of ComfyUI's API from the worker."""


class HandlerParameter(BaseModel):
    """A parameter of a handler. `default` and `annotation` are Python source, None where there is none.

    The kind `rest` is `**kwargs`, which takes any argument. `positional` is `*args`, which takes none.
    """

    name: str
    kind: Literal["keyword", "rest", "positional"]
    default: str | None
    annotation: str | None


class HandlerSignature(BaseModel):
    """A handler: its name, file, docstring and parameters."""

    name: str
    file: str
    doc: str
    parameters: tuple[HandlerParameter, ...]

    @property
    def arguments(self) -> dict[str, HandlerParameter]:
        """The parameters that a call can name."""
        named = (parameter for parameter in self.parameters if parameter.kind == "keyword" and parameter.name != PORT)
        return {parameter.name: parameter for parameter in named}

    @property
    def takes_any(self) -> bool:
        """Whether the handler takes arguments that it does not name."""
        return any(parameter.kind == "rest" for parameter in self.parameters)

    def check(self, names: Collection[str]) -> None:
        """Raise InvalidArguments unless a call with arguments of these names fits the handler."""
        problems = [
            Detail(f"argument {name!r} is missing", input=name, suggestion=f"add {name!r} to the JSON object")
            for name, parameter in self.arguments.items()
            if parameter.default is None and name not in names
        ]
        problems += [self._unexpected(name) for name in names if not self._takes(name)]
        if problems:
            summary = "; ".join(problem.message for problem in problems[:3])
            raise InvalidArguments(f"handler {self.name!r}: {summary}", problems)

    def describe(self) -> dict[str, Any]:
        """Return the handler as `GET /handlers` lists it."""
        parameters = [
            {
                "name": parameter.name,
                "required": parameter.default is None,
                "default": parameter.default,
                "type": parameter.annotation,
            }
            for parameter in self.arguments.values()
        ]
        facts = {"name": self.name, "file": self.file, "doc": self.doc}
        return {**facts, "parameters": parameters, "other_arguments": self.takes_any}

    def _takes(self, name: str) -> bool:
        """Return whether the handler takes an argument. The port always comes from the worker."""
        return name in self.arguments or (self.takes_any and name != PORT)

    def _unexpected(self, name: str) -> Detail:
        """Return the detail for an argument that the handler does not take."""
        known = ", ".join(self.arguments) or "none"
        suggestion = did_you_mean(name, self.arguments) or f"it takes: {known}"
        return Detail(f"argument {name!r} is not known", input=name, suggestion=suggestion)


class HandlerProblem(BaseModel):
    """A file of an app that cannot be imported, or a function that cannot be served."""

    file: str
    message: str


class LoadedApp(BaseModel):
    """The handlers of an app, and what could not be loaded."""

    handlers: tuple[HandlerSignature, ...] = ()
    problems: tuple[HandlerProblem, ...] = ()


@dataclass(frozen=True, slots=True)
class HandlerTable:
    """The handlers of an app by name."""

    by_name: Mapping[str, HandlerSignature] = field(default_factory=dict)
    problems: tuple[HandlerProblem, ...] = ()

    @classmethod
    def of(cls, app: LoadedApp) -> Self:
        """Return the table of a loaded app."""
        return cls({handler.name: handler for handler in app.handlers}, app.problems)

    def find(self, name: str) -> HandlerSignature:
        """Return the handler with this name. Raises UnknownHandler, which suggests the nearest name."""
        if name in self.by_name:
            return self.by_name[name]
        suggestion = did_you_mean(name, self.by_name) or f"known: {', '.join(self.by_name) or 'none'}"
        details = [Detail(f"no handler {name!r}", suggestion=suggestion)]
        details += [Detail(f"{problem.file} could not be loaded: {problem.message}") for problem in self.problems]
        raise UnknownHandler(f"there is no handler {name[:80]!r}: {suggestion}", details)

    def describe(self) -> dict[str, Any]:
        """Return the body of `GET /handlers`."""
        return {
            "handlers": [handler.describe() for handler in self.by_name.values()],
            "problems": [problem.model_dump() for problem in self.problems],
        }
