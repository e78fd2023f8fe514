"""What an existing Modal app deploys, read from its source: its classes with their options and methods."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.errors import MigrationError
from worker.platforms.modal.migration.constants import AppConstants, UnknownValue
from worker.platforms.modal.migration.handler_call import (
    AppModule,
    HandlerCall,
    NotMapped,
    handler_call,
    imported_names,
)
from worker.platforms.modal.migration.handler_index import HandlerIndex, parsed
from worker.platforms.modal.migration.image_source import ImageSource, uses_modal
from worker.platforms.modal.migration.method_signature import annotation, signature

OPTIONS_KEPT = (
    *("gpu", "volumes", "secrets", "cpu", "memory", "ephemeral_disk", "timeout", "startup_timeout"),
    *("scaledown_window", "min_containers", "max_containers", "buffer_containers", "region", "cloud"),
)
"""Options of `@app.cls` that the new app has too."""
LIFECYCLE = ("enter", "exit")
ENDPOINTS = ("fastapi_endpoint", "web_endpoint")


@dataclass(frozen=True, slots=True)
class AppMethod:
    """A method with its parameters as source, and the call of a handler that it consists of.

    `problem` is the sentence why there is no such call, with its place and the cure.
    """

    name: str
    parameters: str
    returns: str
    call: HandlerCall | None
    problem: str


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
    """An app. `folders` and `modules` are those that its handlers may need, and `image` has their packages."""

    name: str
    path: Path
    classes: list[AppClass]
    folders: list[str]
    modules: list[str]
    image: ImageSource
    unmapped: list[str]


def read_app(folder: Path) -> AppSource:
    """Read the app in a folder. Raises MigrationError when there is none, or when a file is not Python."""
    for path in [folder / "app.py", *sorted(folder.glob("*.py"))]:
        if path.is_file() and uses_modal(path):
            tree = parsed(path)
            if (call := _app_call(tree)) is not None:
                return _read(path, tree, call)
    raise MigrationError(
        f"{folder} has no file with `modal.App(...)`: name the folder of the original app, whose file Modal deploys"
    )


def _app_call(tree: ast.Module) -> ast.Call | None:
    """Return the call that makes the app: `modal.App(...)`, also under an imported name."""
    imports = imported_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            first, _, rest = ast.unparse(node.func).partition(".")
            if f"{imports.get(first, first)}.{rest}".rstrip(".") in ("modal.App", "modal.Stub"):
                return node
    return None


def _read(path: Path, tree: ast.Module, app: ast.Call) -> AppSource:
    """Read the app that a file defines."""
    folder = path.parent
    try:
        constants = AppConstants.of(tree, folder)
    except SyntaxError as error:
        raise MigrationError(
            f"{error.filename or path} is not valid Python: line {error.lineno}: {error.msg}"
        ) from error
    module = AppModule(path.name, imported_names_of_module(tree), constants, HandlerIndex.of(folder))
    image = ImageSource.of(folder)
    folders = [each.name for each in sorted(folder.iterdir()) if each.is_dir() and _is_source(each, image)]
    modules = [each.name for each in sorted(folder.glob("*.py")) if each != path and not uses_modal(each)]
    classes = [_class(node, module) for node in tree.body if isinstance(node, ast.ClassDef) and _call(node, "cls")]
    unmapped = [*_app_options(app, module), *_functions(tree, module)]
    return AppSource(_app_name(app, constants), path, classes, folders, modules, image, unmapped)


def imported_names_of_module(tree: ast.Module) -> dict[str, str]:
    """Return what the names stand for that a module imports at its top."""
    return imported_names(ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], []))


def _functions(tree: ast.Module, module: AppModule) -> list[str]:
    """Return sentences about the functions of the app, which have no counterpart."""
    return [
        module.at(node, f"the function `{node.name}`: add it to the new app by hand, or make it a handler")
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.decorator_list
    ]


def _app_options(app: ast.Call, module: AppModule) -> list[str]:
    """Return sentences about options that the app has for all its classes."""
    return [
        module.at(keyword.value, f"{keyword.arg}={ast.unparse(keyword.value)} of the app: add it to its classes")
        for keyword in app.keywords
        if keyword.arg not in ("name", "image")
    ]


def _is_source(folder: Path, image: ImageSource) -> bool:
    """Return whether a folder goes with the handlers: one with Python or JSON files, or one of the image."""
    if folder.name.startswith((".", "_")):
        return False
    return folder.name in image.local_folders or any((*folder.rglob("*.py"), *folder.rglob("*.json")))


def _app_name(app: ast.Call, constants: AppConstants) -> str:
    """Return the name of the app. Raises MigrationError when it is not a constant."""
    names = [*app.args[:1], *(keyword.value for keyword in app.keywords if keyword.arg == "name")]
    if not names:
        raise MigrationError(f"line {app.lineno}: `modal.App()` has no name")
    try:
        return str(constants.value(names[0]))
    except UnknownValue as error:
        raise MigrationError(f"line {app.lineno}: the name of the app is no constant: {error}") from error


def _class(node: ast.ClassDef, module: AppModule) -> AppClass:
    """Read a class with `@app.cls`."""
    found = AppClass(node.name, unmapped=[*_class_problems(node, module)])
    for keyword in _keywords(node, "cls"):
        if keyword.arg in OPTIONS_KEPT:
            _add_option(found, found.options, keyword, module.constants)
        elif keyword.arg != "image":
            found.unmapped.append(f"the option {keyword.arg}={ast.unparse(keyword.value)}")
    for keyword in _keywords(node, "concurrent"):
        _add_option(found, found.concurrency, keyword, module.constants)
    for method in node.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
            _add_method(found, method, module)
            if method.name in found.lifecycle:
                found.comfy_port = found.comfy_port or _port_in(method, module.constants)
    return found


def _class_problems(node: ast.ClassDef, module: AppModule) -> Iterator[str]:
    """Yield sentences about base classes and parameters of a class, which have no counterpart."""
    for base in node.bases:
        yield module.at(base, f"the base class `{ast.unparse(base)}`: move its methods into `{node.name}`")
    for part in node.body:
        if isinstance(part, ast.AnnAssign) and part.value and "parameter(" in ast.unparse(part.value):
            name = ast.unparse(part.target)
            yield module.at(part, f"the parameter `{name}` of the class: make it one of the handlers")
    for decorator in node.decorator_list:
        name = ast.unparse(decorator).partition("(")[0]
        if name.rpartition(".")[2] not in ("cls", "concurrent"):
            yield module.at(decorator, f"the class with @{name}")


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


def _add_method(found: AppClass, node: ast.FunctionDef | ast.AsyncFunctionDef, module: AppModule) -> None:
    """Add a method by its decorators. One without a decorator is a helper, which the new app does not need."""
    names = [ast.unparse(entry).partition("(")[0].rpartition(".")[2] for entry in node.decorator_list]
    kinds = {"method": "method", **dict.fromkeys(LIFECYCLE, "lifecycle"), **dict.fromkeys(ENDPOINTS, "endpoint")}
    kind = next((kinds[name] for name in names if name in kinds), "")
    if kind == "method":
        method = _method(node, module)
        found.methods.append(method)
        if method.call and method.call.helper:
            text = f"`{method.name}` without `{method.call.helper}`: let a decorator of the handlers do what it does"
            found.unmapped.append(module.at(node, text))
    elif kind == "lifecycle":
        found.lifecycle.append(node.name)
    elif kind == "endpoint":
        found.endpoints.append(node.name)
        if '"handler"' not in ast.unparse(node).replace("'", '"'):
            text = f'`{node.name}` takes another body: let its callers send {{"handler": METHOD, ...}}'
            found.unmapped.append(module.at(node, text))
    others = [name for name in names if name not in kinds]
    found.unmapped += [module.at(node, f"the method `{node.name}` with @{name}") for name in others]


def _method(node: ast.FunctionDef | ast.AsyncFunctionDef, module: AppModule) -> AppMethod:
    """Return a method, with the call of the handler that it consists of."""
    returns = annotation(node.returns) or "object"
    try:
        return AppMethod(node.name, signature(node.args, module), returns, handler_call(node, module), "")
    except NotMapped as error:
        return AppMethod(node.name, "self, *args, **kwargs", returns, None, str(error))


def _call(node: ast.ClassDef, name: str) -> ast.expr | None:
    """Return the decorator of a class whose last name is `name`."""
    decorators = (entry.func if isinstance(entry, ast.Call) else entry for entry in node.decorator_list)
    return next((entry for entry in decorators if isinstance(entry, ast.Attribute) and entry.attr == name), None)


def _keywords(node: ast.ClassDef, name: str) -> list[ast.keyword]:
    """Return the keyword arguments of the decorator `name` of a class."""
    for entry in node.decorator_list:
        if isinstance(entry, ast.Call) and ast.unparse(entry.func).rpartition(".")[2] == name:
            return entry.keywords
    return []
