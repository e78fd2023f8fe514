"""What the Modal image of an app installs: packages of the handlers, and what the worker's image needs besides."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from worker.platforms.modal.migration.constants import AppConstants, UnknownValue
from worker.platforms.modal.migration.handler_index import parsed

REQUIREMENTS = "requirements.txt"
PIP = ("pip_install", "uv_pip_install")
OTHER_INSTALLERS = (
    *("uv_sync", "poetry_install_from_file", "pip_install_from_pyproject", "pip_install_private_repos"),
    "micromamba_install",
)
WITHOUT_USE = frozenset({"comfy-cli", "fastapi", "modal"})
"""Packages that handlers do not need: the worker's image has ComfyUI, and the new app needs no FastAPI."""
BY_HAND = {
    "apt_install": "add programs and libraries that the handlers use to your image",
    "env": "set variables that the handlers read in the new app, and name them in WORKER_HANDLERS_ENV",
    "run_function": "name models in WORKER_MODELS, or put them into the volume /models (docs/models.md)",
}
NODE_PACKS = re.compile(r"comfy node (?:registry-)?install[^&;|]+|git clone \S[^&;|]+|^https://github\.com/\S+$")
MODAL_IMPORT = re.compile(r"^\s*(?:from|import)\s+(?:[\w. ]+,\s*)*modal\b", re.MULTILINE)
NODES = "pin node packs in comfyui_nodes.txt of the image (docs/nodes.md)"


@dataclass(slots=True)
class ImageSource:
    """The packages for the handlers, those without use, and rows of the table about everything else."""

    packages: list[str] = field(default_factory=list)
    without_use: list[str] = field(default_factory=list)
    rows: list[tuple[str, str]] = field(default_factory=list)
    local_folders: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, folder: Path) -> ImageSource:
        """Read the modules of an app that use Modal, and its requirements.txt."""
        image = cls()
        if (folder / REQUIREMENTS).is_file():
            image._add_packages((folder / REQUIREMENTS).read_text("utf-8").splitlines())
        for path in sorted(folder.glob("*.py")):
            if uses_modal(path):
                image._read(path)
        return image

    def _read(self, path: Path) -> None:
        """Read one module."""
        tree = parsed(path)
        constants = AppConstants.of(tree, path.parent)
        parts = [node for node in ast.walk(tree) if isinstance(node, ast.expr)]
        for node in sorted(parts, key=lambda part: (part.end_lineno or 0, part.end_col_offset or 0)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                self._read_call(node, node.func.attr, constants, path)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self._read_text(node.value, f"{path.name}:{node.lineno}: node packs")

    def _read_call(self, node: ast.Call, name: str, constants: AppConstants, path: Path) -> None:
        """Read a call that may be a step of an image."""
        place = f"{path.name}:{node.end_lineno}: {name}"
        values = [*_texts(node, constants)]
        if name in PIP:
            self._add_packages(values)
            if len(values) < len(node.args) or node.keywords:
                self.rows.append((place, f"change: compare {REQUIREMENTS} with `{_arguments(node)}`"))
        elif name == "pip_install_from_requirements" and values and (path.parent / values[0]).is_file():
            self._add_packages((path.parent / values[0]).read_text("utf-8").splitlines())
        elif name in OTHER_INSTALLERS:
            self.rows.append((place, f"not mapped: write the packages of the handlers into {REQUIREMENTS}"))
        elif name in BY_HAND:
            self.rows.append((place, f"change: {_arguments(node)}: {BY_HAND[name]}"))
        elif name == "add_local_dir" and values:
            self.local_folders.add(values[0])

    def _read_text(self, text: str, place: str) -> None:
        """Add a row for each command that installs node packs, and for each address of one."""
        for found in NODE_PACKS.findall(text):
            if not re.search(r"/ComfyUI(\.git)?\s*$", found.partition(" /")[0]):
                self.rows.append((place, f"change: {found.strip()}: {NODES}"))

    def _add_packages(self, lines: list[str]) -> None:
        """Add requirements whose packages are not there yet."""
        known = {_package(line) for line in self.packages}
        for line in (each.strip() for each in lines):
            if _package(line) in WITHOUT_USE:
                self.without_use.append(line)
            elif line and not line.startswith("#") and _package(line) not in known:
                self.packages.append(line)


def uses_modal(path: Path) -> bool:
    """Return whether a module imports Modal's package, and so is a part of the deployment."""
    return MODAL_IMPORT.search(path.read_text("utf-8")) is not None


def _package(requirement: str) -> str:
    """Return the name of a package in the form in which names are compared."""
    name = re.split(r"[\s\[<>=!~;@]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower() if not requirement.startswith("-") else requirement


def _texts(node: ast.Call, constants: AppConstants) -> Iterator[str]:
    """Yield the positional arguments of a call that are constant texts, and those of lists."""
    for argument in node.args:
        part = argument.value if isinstance(argument, ast.Starred) else argument
        try:
            value = constants.value(part)
        except UnknownValue:
            continue
        yield from (str(each) for each in (value if isinstance(value, list) else [value]))


def _arguments(node: ast.Call) -> str:
    """Return the source of the arguments of a call, shortened."""
    text = ", ".join([*map(ast.unparse, node.args), *map(ast.unparse, node.keywords)])
    return text if len(text) <= 100 else text[:97] + "..."
