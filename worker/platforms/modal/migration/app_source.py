"""What an existing Modal app deploys, read from its source: its classes with their options and methods."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.errors import MigrationError
from worker.platforms.modal.migration.constants import AppConstants, UnknownValue

OPTIONS_KEPT = (
    *("gpu", "volumes", "secrets", "cpu", "memory", "ephemeral_disk", "timeout", "startup_timeout"),
    *("scaledown_window", "min_containers", "max_containers", "buffer_containers", "region", "cloud"),
)
"""Options of `@app.cls` that the new app has too."""
LIFECYCLE = ("enter", "exit")
ENDPOINTS = ("fastapi_endpoint", "web_endpoint")


@dataclass(frozen=True, slots=True)
class AppMethod:
    """A method with its parameters as source, and the function in `handlers/` that it calls; empty if none is found."""

    name: str
    parameters: str
    arguments: str
    returns: str
    handler: str
    line: int


@dataclass(slots=True)
class AppClass:
    """A class of the app.

    `comfy_port` is the port at which its handlers expect ComfyUI, 0 if it is not found. `unmapped` are sentences about
    what the new app does not have.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    concurrency: dict[str, Any] = field(default_factory=dict)
    methods: list[AppMethod] = field(default_factory=list)
    lifecycle: list[str] = field(default_factory=list)
    comfy_port: int = 0
    endpoints: list[str] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)


@dataclass(slots=True)
class AppSource:
    """An app. `folders`, `modules` and `requirements` are the folders and files that its handlers may need."""

    name: str
    path: Path
    classes: list[AppClass]
    folders: list[str]
    modules: list[str]
    requirements: str
    unmapped: list[str]


def read_app(folder: Path) -> AppSource:
    """Read the app in a folder. Raises MigrationError when there is none, or when a file is not Python."""
    for path in [folder / "app.py", *sorted(folder.glob("*.py"))]:
        if path.is_file() and "modal.App(" in path.read_text("utf-8"):
            return _read(path)
    raise MigrationError(f"{folder} has no file with `modal.App(...)`")


def _read(path: Path) -> AppSource:
    """Read the app that a file defines."""
    try:
        tree = ast.parse(path.read_text("utf-8"))
        constants = AppConstants.of(tree, path.parent)
    except SyntaxError as error:
        raise MigrationError(f"{path} is not valid Python: line {error.lineno}: {error.msg}") from error
    classes = [_class(node, constants) for node in tree.body if isinstance(node, ast.ClassDef) and _call(node, "cls")]
    unmapped = [
        f"the function `{node.name}` (line {node.lineno}): add it to the new app by hand"
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list
    ]
    folders = [entry.name for entry in sorted(path.parent.iterdir()) if entry.is_dir() and _is_source(entry)]
    requirements = "requirements.txt" if (path.parent / "requirements.txt").is_file() else ""
    modules = [entry.name for entry in sorted(path.parent.glob("*.py")) if entry != path and not _uses_modal(entry)]
    return AppSource(_app_name(tree, constants), path, classes, folders, modules, requirements, unmapped)


def _uses_modal(path: Path) -> bool:
    """Return whether a module imports Modal's package, and so is a part of the deployment."""
    return any(line.startswith(("import modal", "from modal")) for line in path.read_text("utf-8").splitlines())


def _is_source(folder: Path) -> bool:
    """Return whether a folder goes with the handlers: one with Python or JSON files, no hidden one."""
    return not folder.name.startswith((".", "_")) and any((*folder.glob("*.py"), *folder.glob("*.json")))


def _app_name(tree: ast.Module, constants: AppConstants) -> str:
    """Return the name of the app. Raises MigrationError when it is not a constant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "modal.App" and node.args:
            try:
                return str(constants.value(node.args[0]))
            except UnknownValue as error:
                raise MigrationError(f"line {node.lineno}: the name of the app is no constant: {error}") from error
    raise MigrationError("`modal.App()` has no name")


def _class(node: ast.ClassDef, constants: AppConstants) -> AppClass:
    """Read a class with `@app.cls`."""
    found = AppClass(node.name)
    for keyword in _keywords(node, "cls"):
        if keyword.arg in OPTIONS_KEPT:
            _add_option(found, found.options, keyword, constants)
        elif keyword.arg != "image":
            found.unmapped.append(f"the option {keyword.arg}={ast.unparse(keyword.value)}")
    for keyword in _keywords(node, "concurrent"):
        _add_option(found, found.concurrency, keyword, constants)
    for method in node.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
            _add_method(found, method)
            if method.name in found.lifecycle:
                found.comfy_port = found.comfy_port or _port_in(method, constants)
    return found


def _port_in(node: ast.AST, constants: AppConstants) -> int:
    """Return the argument `port` of a call, such as `launch_comfy_server(port=8000)`, 0 if there is none."""
    for part in ast.walk(node):
        if isinstance(part, ast.keyword) and part.arg == "port":
            try:
                return int(constants.value(part.value))
            except (UnknownValue, ValueError):
                continue
    return 0


def _add_option(found: AppClass, options: dict[str, Any], keyword: ast.keyword, constants: AppConstants) -> None:
    """Add the value of an option, or the sentence that it cannot be read."""
    try:
        options[keyword.arg or ""] = constants.value(keyword.value)
    except UnknownValue as error:
        found.unmapped.append(f"the option {keyword.arg}: its value `{error}` is no constant")


def _add_method(found: AppClass, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
    """Add a method by its decorator. One without a decorator is a helper, which the new app does not need."""
    names = [ast.unparse(entry).partition("(")[0].rpartition(".")[2] for entry in node.decorator_list]
    if "method" in names:
        found.methods.append(_method(node))
    elif any(name in LIFECYCLE for name in names):
        found.lifecycle.append(node.name)
    elif any(name in ENDPOINTS for name in names):
        found.endpoints.append(node.name)
    elif names:
        found.unmapped.append(f"the method `{node.name}` (line {node.lineno}) with @{names[0]}")


def _method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> AppMethod:
    """Return a method, with the handler that it imports."""
    arguments = node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    passed = [f"{entry.arg}={entry.arg}" for entry in named if entry.arg != "self"]
    if arguments.kwarg:
        passed.append(f"**{arguments.kwarg.arg}")
    return AppMethod(
        name=node.name,
        parameters=_parameters(arguments),
        arguments=", ".join(passed),
        returns=ast.unparse(node.returns) if node.returns else "object",
        handler=next(_imported_handlers(node), ""),
        line=node.lineno,
    )


def _parameters(arguments: ast.arguments) -> str:
    """Return the source of parameters, in the usual format."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults)) + [*arguments.defaults]
    parts = [_parameter(entry, default) for entry, default in zip(positional, defaults, strict=True)]
    if arguments.vararg or arguments.kwonlyargs:
        parts.append(f"*{_parameter(arguments.vararg, None) if arguments.vararg else ''}")
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    parts += [_parameter(entry, default) for entry, default in keywords]
    if arguments.kwarg:
        parts.append(f"**{_parameter(arguments.kwarg, None)}")
    return ", ".join(parts)


def _parameter(entry: ast.arg, default: ast.expr | None) -> str:
    """Return the source of one parameter."""
    text = f"{entry.arg}: {ast.unparse(entry.annotation)}" if entry.annotation else entry.arg
    if default is None:
        return text
    text_value = _plain_text(default)
    value = f'"{text_value}"' if text_value is not None else ast.unparse(default)
    return f"{text} = {value}" if entry.annotation else f"{text}={value}"


def _plain_text(node: ast.expr) -> str | None:
    """Return the value of a text that needs no escapes in double quotes, None for any other expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and not re.search(r'["\\\n]', node.value):
        return node.value
    return None


def _imported_handlers(node: ast.AST) -> Iterator[str]:
    """Yield the names that a method imports from `handlers`."""
    for part in ast.walk(node):
        if isinstance(part, ast.ImportFrom) and (part.module or "").split(".")[0] == "handlers":
            yield from (alias.name for alias in part.names)


def _call(node: ast.ClassDef, name: str) -> ast.expr | None:
    """Return the decorator of a class whose last name is `name`."""
    decorators = (entry.func if isinstance(entry, ast.Call) else entry for entry in node.decorator_list)
    return next((entry for entry in decorators if isinstance(entry, ast.Attribute) and entry.attr == name), None)


def _keywords(node: ast.ClassDef, name: str) -> list[ast.keyword]:
    """Return the keyword arguments of the decorator `name` of a class."""
    for entry in node.decorator_list:
        if isinstance(entry, ast.Call) and isinstance(entry.func, ast.Attribute) and entry.func.attr == name:
            return entry.keywords
    return []
