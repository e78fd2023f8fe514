"""Writes the table of reused code in `docs/migrate-from-modal.md` (`make docs`): the sample app and its migrated form.

Lines are those of `git diff --numstat` without comments, docstrings and blank lines.
"""

from __future__ import annotations

import ast
import io
import subprocess
import tempfile
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
BEFORE, AFTER = ROOT / "examples" / "modal-app", ROOT / "examples" / "modal-app-migrated"
PAGE = ROOT / "docs" / "migrate-from-modal.md"
START, END = "<!-- reuse -->", "<!-- end of reuse -->"
CODE = (".py", ".json")


@dataclass(frozen=True, slots=True)
class Reuse:
    """A part of the app: its lines, and how many of them are the same in the migrated form."""

    name: str
    lines: int
    kept: int

    @property
    def share(self) -> float:
        """Share of the lines that are kept."""
        return self.kept / self.lines

    @classmethod
    def of(cls, name: str, parts: Sequence[Reuse]) -> Reuse:
        """Return the sum of parts."""
        return cls(name, sum(part.lines for part in parts), sum(part.kept for part in parts))


def table() -> str:
    """Return the table."""
    lines = [f"| {row.name} | {row.lines} | {row.kept} | {row.share:.0%} |" for row in reuse_by_part()]
    return "\n".join(["| part | lines | kept | reused |", "|---|---|---|---|", *lines])


def reuse_by_part() -> list[Reuse]:
    """Return the reuse of each part of the app, and of the app."""
    files = [each for each in _files() if each.lines]
    python = [each for each in files if each.name.endswith(".py")]
    handlers = Reuse.of("`handlers/`", [each for each in files if each.name.startswith("handlers/")])
    graphs = Reuse.of("`graphs/`", [each for each in files if each.name.startswith("graphs/")])
    others = [each for each in files if "handlers/" not in each.name and "graphs/" not in each.name]
    return [
        handlers,
        *(Reuse(f"`{each.name}`", each.lines, each.kept) for each in others),
        graphs,
        Reuse.of("**the Python code**", python),
        Reuse.of("**the whole app**", files),
    ]


def page() -> str:
    """Return the page with the present table."""
    text = PAGE.read_text("utf-8")
    head, rest = text.split(START, 1)
    return f"{head}{START}\n{table()}\n{END}{rest.split(END, 1)[1]}"


def _files() -> Iterator[Reuse]:
    """Yield the files of the sample app."""
    for path in sorted(BEFORE.rglob("*")):
        name = path.relative_to(BEFORE).as_posix()
        if path.suffix in CODE and "__pycache__" not in name:
            lines = code_lines(path)
            yield Reuse(name, len(lines), len(lines) - _deleted(lines, code_lines(AFTER / name)))


def code_lines(path: Path) -> list[str]:
    """Return the lines of a file without comments, docstrings and blank lines. A file that does not exist has none."""
    if not path.exists():
        return []
    text = path.read_text("utf-8")
    lines = text.splitlines()
    if path.suffix == ".py":
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
        for first, last in _docstrings(text):
            lines[first - 1 : last] = [""] * (last - first + 1)
    return [line for line in lines if line.strip()]


def _docstrings(text: str) -> Iterator[tuple[int, int]]:
    """Yield the first and last line of each docstring."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        match node.body:
            case [ast.Expr(value=ast.Constant(value=str()), lineno=first, end_lineno=last), *_]:
                yield first, last or first


def _deleted(before: Sequence[str], after: Sequence[str]) -> int:
    """Return the number of lines that `git diff --numstat` counts as deleted."""
    with tempfile.TemporaryDirectory() as folder:
        names = ("before", "after")
        for name, lines in zip(names, (before, after), strict=True):
            (Path(folder) / name).write_text("".join(f"{line}\n" for line in lines), "utf-8")
        command = ["git", "diff", "--no-index", "--numstat", *names]
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if found.returncode not in (0, 1):
            raise RuntimeError(found.stderr)
    return int(found.stdout.split()[1]) if found.stdout else 0


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
