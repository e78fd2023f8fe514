"""The call of a handler in a method, if the method does nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.platforms.modal.migration.constants import AppConstants, UnknownValue
from worker.platforms.modal.migration.handler_index import PACKAGE, PORT, HandlerIndex, NotServed, ServedFunction

Method = ast.FunctionDef | ast.AsyncFunctionDef


class NotMapped(Exception):
    """A method that is more than a call of a handler. The message has the line, the reason and the cure."""


@dataclass(frozen=True, slots=True)
class AppModule:
    """The file of an app. `imports` maps its names to what they stand for, such as `fx` to `handlers.flux`."""

    file: str
    imports: Mapping[str, str]
    constants: AppConstants
    handlers: HandlerIndex

    def at(self, node: ast.expr | ast.stmt, text: str) -> str:
        """Return a sentence with its place."""
        return f"{self.file}:{node.lineno}: {text}"


@dataclass(frozen=True, slots=True)
class HandlerCall:
    """The name of a handler, and the source of the keyword arguments of its call.

    `helper` is the method of the app that calls the handler, such as `self._run(handler, ...)`, if there is one.
    """

    handler: str
    arguments: str
    helper: str = ""


def handler_call(method: Method, module: AppModule) -> HandlerCall:
    """Return the call that a method consists of. Raises NotMapped if the method does anything else."""
    imports = {**module.imports, **imported_names(method)}
    if not any(_stands_for(node, imports).split(".")[0] == PACKAGE for node in ast.walk(method)):
        raise NotMapped(module.at(method, f"it calls no function of {PACKAGE}/: move its code there"))
    call = _only_call(method, module)
    helper = ast.unparse(call.func) if ast.unparse(call.func).startswith("self.") else ""
    if helper:  # it gets the handler as its first argument
        if not call.args or not _stands_for(call.args[0], imports).startswith(f"{PACKAGE}."):
            raise _does_more(call, module)
        call = ast.copy_location(ast.Call(call.args[0], call.args[1:], call.keywords), call)
    try:
        function = module.handlers.find(_stands_for(call.func, imports))
    except NotServed as error:
        raise NotMapped(module.at(call, str(error))) from error
    arguments = [_source(name, value) for name, value in _arguments(call, function, _parameters(method), module)]
    return HandlerCall(function.name, ", ".join(arguments), helper)


def imported_names(node: ast.AST) -> dict[str, str]:
    """Return what the names that a part of a program imports stand for."""
    names: dict[str, str] = {}
    for part in ast.walk(node):
        if isinstance(part, ast.ImportFrom) and part.module:
            names |= {alias.asname or alias.name: f"{part.module}.{alias.name}" for alias in part.names}
        elif isinstance(part, ast.Import):
            for alias in part.names:
                top = alias.name.split(".")[0]
                names[alias.asname or top] = alias.name if alias.asname else top
    return names


def _stands_for(node: ast.AST, imports: Mapping[str, str]) -> str:
    """Return the dotted name that an expression stands for, and its source if it is no name."""
    if isinstance(node, ast.Name):
        return imports.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{_stands_for(node.value, imports)}.{node.attr}"
    if isinstance(node, ast.Call):
        return f"{_stands_for(node.func, imports)}()"
    return ast.unparse(node) if isinstance(node, ast.expr) else ""


def _only_call(method: Method, module: AppModule) -> ast.Call:
    """Return the call whose result the method returns. Raises NotMapped if it does more."""
    statements = [node for node in method.body if not _is_inert(node)]
    match statements:
        case [ast.Return(value=value)]:
            pass
        case [ast.Assign(targets=[ast.Name(id=name)], value=value), ast.Return(value=ast.Name(id=same))] if (
            name == same
        ):
            pass
        case _:
            value = None
    if isinstance(value, ast.Await):
        value = value.value
    if isinstance(value, ast.Call):
        return value
    raise _does_more(statements[0] if statements else method, module)


def _does_more(place: ast.expr | ast.stmt, module: AppModule) -> NotMapped:
    """Return the error for a method with other code than the call of a handler."""
    reason = "it does more than return the result of one handler: move its code into a function of"
    return NotMapped(module.at(place, f"{reason} {PACKAGE}/"))


def _is_inert(node: ast.stmt) -> bool:
    """Return whether a statement is a docstring, an import or `pass`."""
    is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_text or isinstance(node, ast.Import | ast.ImportFrom | ast.Pass)


def _parameters(method: Method) -> frozenset[str]:
    """Return the names of the parameters of a method, without those of `*args`."""
    arguments = method.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *filter(None, [arguments.kwarg])]
    return frozenset(entry.arg for entry in named if entry.arg != "self")


def _arguments(
    call: ast.Call, function: ServedFunction, parameters: frozenset[str], module: AppModule
) -> Iterator[tuple[str, str]]:
    """Yield the names and sources of arguments. `**` is the name of a mapping. Raises NotMapped."""
    for position, value in enumerate(call.args):
        if isinstance(value, ast.Starred) or position >= len(function.positional):
            reason = f"the argument `{ast.unparse(value)}` has no name: pass arguments by name"
            raise NotMapped(module.at(value, reason))
        yield function.positional[position], _argument(value, parameters, module)
    for keyword in call.keywords:
        if keyword.arg is None:
            yield "**", _argument(keyword.value, parameters, module)
        elif keyword.arg not in function.parameters and not function.takes_any:
            raise NotMapped(
                module.at(keyword.value, f"`{function.name}` has no parameter `{keyword.arg}`: add it there")
            )
        elif keyword.arg != PORT or PORT not in function.parameters:  # the worker passes its own port
            yield keyword.arg, _argument(keyword.value, parameters, module)


def _argument(node: ast.expr, parameters: frozenset[str], module: AppModule) -> str:
    """Return the source of an argument: a parameter of the method, or a constant. Raises NotMapped for others."""
    if isinstance(node, ast.Name) and node.id in parameters:
        return node.id
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    try:
        if names & parameters:
            raise UnknownValue(ast.unparse(node))
        return constant_source(module.constants.value(node))
    except UnknownValue:
        reason = f"the argument `{ast.unparse(node)}` is computed: compute it in the handler"
        raise NotMapped(module.at(node, reason)) from None


def constant_source(value: object) -> str:
    """Return the source of a plain constant, with texts in double quotes. Raises UnknownValue for Modal's objects."""
    if isinstance(value, str) and value.isprintable() and not {'"', "\\"} & set(value):
        return f'"{value}"'
    if not isinstance(value, str | bytes | int | float | list | dict | None):
        raise UnknownValue(repr(value))
    return repr(value)


def _source(name: str, value: str) -> str:
    """Return the source of an argument."""
    return f"**{value}" if name == "**" else f"{name}={value}"
