"""The handlers of an app: the public functions of the files in its folder `handlers`."""

from __future__ import annotations

import base64
import enum
import functools
import importlib
import inspect
import re
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from types import ModuleType

    from worker.handlers.app_side.call_results import LONGEST_TEXT, describe_error
else:
    from call_results import LONGEST_TEXT, describe_error

Description = dict[str, Any]
BYTES = re.compile(r"\bbytes\b")
"""Matches the annotation of a parameter that takes bytes."""
FILE = {"media_type", "data"}
"""Keys of a file in a result, which is also the form of bytes in arguments."""


class AppHandlers:
    """The functions of an app, and what cannot be served."""

    def __init__(self, app: Path, broken: Mapping[str, str], report: Callable[[str], None]) -> None:
        """Import all files. A file that cannot be imported is a problem, and does not affect the others.

        `broken` are files whose import has ended an earlier process, and why. They are not imported. `report` is called
        with each file before its import.
        """
        self.functions: dict[str, Callable[..., Any]] = {}
        self.problems: list[Description] = []
        self.with_port: set[str] = set()
        """Names of the handlers that take the port of ComfyUI's API."""
        self._files: dict[str, str] = {}
        """Files of the handlers, relative to the app."""
        self._annotations: dict[str, dict[str, str | None]] = {}
        """Annotations of the parameters of each handler, as text."""
        for path in sorted((app / "handlers").iterdir()):
            file = f"handlers/{path.name}"
            if path.name.startswith(("_", ".")):
                continue
            if path.is_dir() and next(path.glob("*.py"), None):
                self._add_problem(file, "the folder is not searched: only functions in handlers/*.py are served")
            elif path.suffix == ".py" and file in broken:
                self._add_problem(file, broken[file])
            elif path.suffix == ".py":
                report(file)
                self._import(path.stem, file)

    def arguments(self, name: str, sent: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call, with bytes for those that are sent as files.

        A parameter whose annotation has `bytes` takes base64 as well. One with another annotation gets what was sent.
        """
        annotations = self._annotations[name]
        return {key: _decoded(key, value, annotations.get(key)) for key, value in sent.items()}

    def describe(self) -> list[Description]:
        """Return the name, file, docstring and parameters of each handler."""
        return [
            {
                "name": name,
                "file": self._files[name],
                "doc": (inspect.getdoc(function) or "")[:LONGEST_TEXT],
                "parameters": [describe_parameter(each) for each in inspect.signature(function).parameters.values()],
            }
            for name, function in self.functions.items()
        ]

    def _import(self, stem: str, file: str) -> None:
        """Import one file, and add its functions."""
        try:
            module = importlib.import_module(f"handlers.{stem}")
        except BaseException as error:  # noqa: BLE001 - also sys.exit() in a file
            traceback.print_exc()
            self._add_problem(file, describe_error(error))
            return
        for name, value in vars(module).items():
            if name.startswith("_") or not is_defined_in(value, module):
                continue
            problem = self._problem_of(name, value)
            if problem:
                self._add_problem(file, problem)
            elif not inspect.isclass(value):
                self._add(name, value, file)

    def _add(self, name: str, function: Callable[..., Any], file: str) -> None:
        """Add a handler."""
        parameters = inspect.signature(function).parameters
        self.functions[name], self._files[name] = function, file
        self._annotations[name] = {key: annotation_of(each) for key, each in parameters.items()}
        if "port" in parameters:
            self.with_port.add(name)

    def _problem_of(self, name: str, value: Any) -> str | None:  # noqa: ANN401 - anything callable
        """Return why something cannot be served, or None."""
        if inspect.isclass(value):
            methods = [method for method in vars(value) if not method.startswith("_") and callable(vars(value)[method])]
            other = issubclass(value, (BaseException, enum.Enum)) or not methods
            return None if other else f"the class {name} is not served: write a function that calls {methods[0]}()"
        if name in self.functions:
            return f"{name} is also in {self._files[name]}, which is served: rename one of them"
        try:
            parameters = inspect.signature(value).parameters.values()
        except (TypeError, ValueError) as error:
            return f"{name} is not served: {error}"
        only_positional = [each.name for each in parameters if each.kind is inspect.Parameter.POSITIONAL_ONLY]
        if only_positional:
            return f"{name} is not served: {only_positional[0]!r} is positional-only, and calls name their arguments"
        return None

    def _add_problem(self, file: str, message: str) -> None:
        self.problems.append({"file": file, "message": message})


def is_defined_in(value: object, module: ModuleType) -> bool:
    """Return whether a function, a class, or a function that a decorator or `partial` wraps is a module's own."""
    wrapped = value.func if isinstance(value, functools.partial) else value
    return callable(value) and getattr(wrapped, "__module__", None) == module.__name__


def describe_parameter(parameter: inspect.Parameter) -> Description:
    """Return the name, kind, default and annotation of a parameter, as text. A default of None means no default."""
    kinds: dict[object, str] = {parameter.VAR_KEYWORD: "rest", parameter.VAR_POSITIONAL: "positional"}
    default = None if parameter.default is parameter.empty else repr(parameter.default)[:LONGEST_TEXT]
    kind = kinds.get(parameter.kind, "keyword")
    return {"name": parameter.name, "kind": kind, "default": default, "annotation": annotation_of(parameter)}


def annotation_of(parameter: inspect.Parameter) -> str | None:
    """Return the annotation of a parameter as text, or None."""
    if parameter.annotation is parameter.empty:
        return None
    text = parameter.annotation
    return text if isinstance(text, str) else inspect.formatannotation(text)


def _decoded(name: str, value: Any, annotation: str | None) -> Any:  # noqa: ANN401 - any argument
    """Return the bytes of an argument that is a file as results have it, base64, or a data URL. Return others as is."""
    takes_bytes = annotation is not None and BYTES.search(annotation) is not None
    if isinstance(value, dict) and value.keys() == FILE and (takes_bytes or annotation is None):
        value, takes_bytes = value["data"], True
    if not takes_bytes or not isinstance(value, str):
        return value
    text = value.split(",", 1)[1] if value.startswith("data:") and "," in value else value
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"the argument {name!r} takes bytes, and is no base64: {error}") from error
