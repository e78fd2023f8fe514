"""Values of expressions in the source of an app: constants of its modules, and names of Modal's objects."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MODAL_NAMES = {"Volume.from_name": "volume", "Secret.from_name": "secret"}


@dataclass(frozen=True, slots=True)
class ModalObject:
    """An object that the app refers to by its name: `kind` is `volume` or `secret`."""

    kind: str
    name: str


class UnknownValue(Exception):
    """An expression whose value is known only when the app runs. The message is its source."""


@dataclass(slots=True)
class AppConstants:
    """The constants of the modules in an app's folder. Values are evaluated when they are asked for."""

    folder: Path
    names: dict[str, ast.expr] = field(default_factory=dict)
    _modules: dict[str, AppConstants] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: ast.Module, folder: Path) -> AppConstants:
        """Return the constants of a module: its own, those of modules that it imports, and imported names."""
        constants = cls(folder)
        for node in tree.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                constants.names[node.targets[0].id] = node.value
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                constants.names[node.target.id] = node.value
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    constants._add(alias.name, alias.asname or alias.name)
            elif isinstance(node, ast.ImportFrom) and node.module:
                constants._add_from(node)
        return constants

    def value(self, node: ast.expr) -> Any:  # noqa: ANN401, PLR0911 - any constant; one return a form
        """Return the value of an expression. Raises UnknownValue."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name) if name in self.names:
                return self.value(self.names[name])
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in self._modules:
                return self._modules[module].value(ast.Name(id=name))
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [self.value(part) for part in parts]
            case ast.Dict(keys=keys, values=values):
                return {self.value(key): self.value(part) for key, part in zip(keys, values, strict=True) if key}
            case ast.ListComp(
                elt=element, generators=[ast.comprehension(target=ast.Name(id=name), iter=source, ifs=[])]
            ):
                return [self._with(name, entry).value(element) for entry in self.value(source)]
        return self._computed(node)

    def _computed(self, node: ast.expr) -> Any:  # noqa: ANN401 - any constant
        """Return the value of a call of Modal, or of another expression of constants. Raises UnknownValue."""
        if isinstance(node, ast.Call) and node.args:
            for suffix, kind in MODAL_NAMES.items():
                if ast.unparse(node.func).endswith(suffix):
                    return ModalObject(kind, str(self.value(node.args[0])))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self.value(node.operand)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return self.value(node.left) * self.value(node.right)
        raise UnknownValue(ast.unparse(node))

    def _with(self, name: str, value: object) -> AppConstants:
        """Return these constants with one more."""
        return AppConstants(self.folder, {**self.names, name: ast.Constant(value=value)}, self._modules)  # type: ignore[arg-type]

    def _add(self, module: str, name: str) -> None:
        """Add a module of the app's folder."""
        path = self.folder / f"{module}.py"
        if path.is_file():
            self._modules[name] = AppConstants.of(ast.parse(path.read_text("utf-8")), self.folder)

    def _add_from(self, node: ast.ImportFrom) -> None:
        """Add the names that are imported from a module of the app's folder."""
        path = self.folder / f"{node.module}.py"
        if not path.is_file():
            return
        names: Mapping[str, ast.expr] = AppConstants.of(ast.parse(path.read_text("utf-8")), self.folder).names
        self.names |= {alias.asname or alias.name: names[alias.name] for alias in node.names if alias.name in names}
