"""The source of a method's parameters, without names that only the old app has."""

from __future__ import annotations

import ast
import builtins

from worker.platforms.modal.migration.constants import UnknownValue
from worker.platforms.modal.migration.handler_call import AppModule, NotMapped, constant_source


def signature(arguments: ast.arguments, module: AppModule) -> str:
    """Return the source of parameters, in the usual format. Raises NotMapped for a default that is no constant."""
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults)) + [*arguments.defaults]
    parts = [_parameter(entry, default, module) for entry, default in zip(positional, defaults, strict=True)]
    if arguments.vararg or arguments.kwonlyargs:
        parts.append(f"*{_parameter(arguments.vararg, None, module) if arguments.vararg else ''}")
    keywords = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    parts += [_parameter(entry, default, module) for entry, default in keywords]
    if arguments.kwarg:
        parts.append(f"**{_parameter(arguments.kwarg, None, module)}")
    return ", ".join(parts)


def annotation(node: ast.expr | None) -> str:
    """Return the source of an annotation, empty if it has names that the new app does not import."""
    if node is None:
        return ""
    names = [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
    return ast.unparse(node) if all(hasattr(builtins, name) for name in names) else ""


def _parameter(entry: ast.arg, default: ast.expr | None, module: AppModule) -> str:
    """Return the source of one parameter."""
    kind = annotation(entry.annotation)
    text = f"{entry.arg}: {kind}" if kind else entry.arg
    if default is None:
        return text
    try:
        value = constant_source(module.constants.value(default))
    except UnknownValue:
        reason = f"the default `{ast.unparse(default)}` of `{entry.arg}` is no constant: let the handler choose it"
        raise NotMapped(module.at(default, reason)) from None
    return f"{text} = {value}" if kind else f"{text}={value}"
