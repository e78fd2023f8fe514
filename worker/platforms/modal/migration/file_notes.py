"""What has to change in the files that go with the handlers: starts of ComfyUI, and imports of files left out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from worker.platforms.modal.migration.app_source import AppSource
from worker.platforms.modal.migration.handler_index import parsed

STARTERS = ("subprocess.", "Popen(", "os.system(", "create_subprocess")
COMMANDS = ("main.py", "'comfy'", "comfy launch", "comfy run")
STARTS = "change: it starts ComfyUI itself: let it wait for the worker's ComfyUI, which listens on the port already"


def file_notes(source: AppSource) -> list[tuple[str, str]]:
    """Return rows of the table about files of the app. Raises MigrationError for a file that is not Python."""
    folder, rows = source.path.parent, []
    left_out = {path.stem for path in folder.glob("*.py")} - {Path(name).stem for name in source.modules}
    for path in _copied(source):
        name, tree = path.relative_to(folder).as_posix(), parsed(path)
        rows += [(f"{name}:{line}", STARTS) for line in _starts(tree)]
        for line, module in _imports(tree):
            if module in left_out:
                cure = f"{module}.py uses Modal and is left out: move what this file imports into another one"
                rows.append((f"{name}:{line}", f"not mapped: {cure}"))
    return rows


def _copied(source: AppSource) -> Iterator[Path]:
    """Yield the Python files of the new app that come from the old one."""
    folder = source.path.parent
    for name in source.folders:
        yield from (path for path in sorted((folder / name).rglob("*.py")) if "site-packages" not in path.parts)
    yield from (folder / name for name in source.modules)


def _starts(tree: ast.Module) -> Iterator[int]:
    """Yield the lines of functions that start ComfyUI or its command."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.unparse(node)
            if any(word in text for word in STARTERS) and any(word in text for word in COMMANDS):
                yield node.lineno


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the lines and top-level names of imported modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.split(".")[0]
