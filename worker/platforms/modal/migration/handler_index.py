"""The functions that the worker serves from the `handlers/` of an app, read from their source."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from worker.errors import MigrationError

PACKAGE = "handlers"
PORT = "port"
"""Parameter that gets the port of ComfyUI's API from the worker."""


class NotServed(Exception):
    """A name that is no function which the worker serves. The message has the reason and the cure."""


@dataclass(frozen=True, slots=True)
class ServedFunction:
    """A function: the names of its positional parameters in order, all its parameters, and whether it takes others."""

    name: str
    positional: tuple[str, ...]
    parameters: frozenset[str]
    takes_any: bool


@dataclass(frozen=True, slots=True)
class HandlerIndex:
    """The functions by name, and for each module of `handlers/` the names that it defines or imports.

    `repeated` are the names that several files define, of which the worker serves one.
    """

    functions: Mapping[str, ServedFunction] = field(default_factory=dict)
    modules: Mapping[str, frozenset[str]] = field(default_factory=dict)
    repeated: frozenset[str] = frozenset()

    @classmethod
    def of(cls, folder: Path) -> HandlerIndex:
        """Read the handlers of the app in a folder. Raises MigrationError for a file that is not Python."""
        functions: dict[str, ServedFunction] = {}
        modules, repeated = {}, set[str]()
        for path in sorted((folder / PACKAGE).glob("*.py")):
            tree = parsed(path)
            served = [] if path.stem.startswith("_") else [*_functions(tree)]
            repeated |= functions.keys() & {entry.name for entry in served}
            functions |= {entry.name: entry for entry in served}
            modules[path.stem] = frozenset([entry.name for entry in served] + [*_imported(tree)])
        return cls(functions, modules, frozenset(repeated))

    def find(self, name: str) -> ServedFunction:
        """Return the function with a dotted name, such as `handlers.flux.generate`. Raises NotServed."""
        name, called, _ = name.partition("(")  # `handlers.lora.Lora().generate`: the result of a call is no handler
        package, _, rest = name.partition(".")
        module, _, function = rest.rpartition(".")
        file = f"{PACKAGE}/{module.replace('.', '/') or '__init__'}.py"
        if package != PACKAGE or not function:
            raise NotServed(f"`{name}` is no function of {PACKAGE}/: move the code of the method there")
        if function in self.repeated:
            raise NotServed(f"several files in {PACKAGE}/ have a function `{function}`: rename them")
        if not called and function in self.functions and function in self.modules.get(module or "__init__", ()):
            return self.functions[function]
        raise NotServed(f"{file} has no public function `{function}`: add a function there that does the work")


def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file. Raises MigrationError when it is not Python."""
    try:
        return ast.parse(path.read_text("utf-8"))
    except SyntaxError as error:
        raise MigrationError(f"{path} is not valid Python: line {error.lineno}: {error.msg}") from error


def _functions(tree: ast.Module) -> Iterator[ServedFunction]:
    """Yield the public functions that a file defines."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            positional = tuple(entry.arg for entry in [*node.args.posonlyargs, *node.args.args])
            parameters = frozenset([*positional, *(entry.arg for entry in node.args.kwonlyargs)])
            yield ServedFunction(node.name, positional, parameters, node.args.kwarg is not None)


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a file imports from handlers without a new name."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == PACKAGE):
            yield from (alias.name for alias in node.names if alias.asname in (None, alias.name))
