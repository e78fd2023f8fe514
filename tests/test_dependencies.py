"""What the worker imports is what `pyproject.toml` declares."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "worker").rglob("*.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DISTRIBUTIONS = packages_distributions()

EXTRAS = {
    "worker/deploy": "vast",
    "worker/nodes": "nodes",
    "worker/platforms": "vast",
    "worker/storage": "s3",
}
"""The folders that may import what an extra installs; all other modules import nothing but `dependencies`."""


def normalized(requirement: str) -> str:
    """Return the name of a requirement or a distribution as packaging compares it."""
    name = re.match(r"[\w.-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def declared(requirements: list[str]) -> set[str]:
    return {normalized(requirement) for requirement in requirements}


BASE = declared(PROJECT["dependencies"])
OPTIONAL = {extra: declared(names) for extra, names in PROJECT["optional-dependencies"].items()}


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the top-level packages that a module imports when it runs; `if TYPE_CHECKING:` is for mypy alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
        yield from imported(node)


def third_party(path: Path) -> set[str]:
    """Return the distributions that a module imports from."""
    names = set(imported(ast.parse(path.read_text("utf-8")))) - sys.stdlib_module_names - {"worker"}
    return {normalized(DISTRIBUTIONS.get(name, [name])[0]) for name in names}


def extra_of(path: Path) -> str:
    """Return the extra that the folder of a module may use; empty: none."""
    return next((extra for folder, extra in EXTRAS.items() if path.is_relative_to(ROOT / folder)), "")


def test_every_import_is_declared() -> None:
    """A module imports only what `dependencies` or the extra of its folder installs."""
    allowed = {path: BASE | OPTIONAL.get(extra_of(path), set()) for path in FILES}
    undeclared = {str(path.relative_to(ROOT)): third_party(path) - allowed[path] for path in FILES}
    assert {name: packages for name, packages in undeclared.items() if packages} == {}


@pytest.mark.parametrize("extra", [None, *sorted(set(EXTRAS.values()))])
def test_every_declared_package_is_imported(extra: str | None) -> None:
    """No dependency and no extra outlives the code that needed it."""
    used = set().union(*map(third_party, FILES))
    wanted = OPTIONAL[extra] if extra else BASE
    assert wanted - used <= {"setuptools"}, "nothing imports it; Vast's SDK needs setuptools from Python 3.12 on"


def test_every_extra_has_code_that_needs_it() -> None:
    """`dev` is for the tests and tools, every other extra for a folder of the worker."""
    assert set(OPTIONAL) == {"dev", *EXTRAS.values()}


def test_a_command_names_the_extra_that_it_lacks() -> None:
    """`deploy` needs Vast's SDK: without it the command prints what to install instead of a traceback."""
    program = """
import sys
sys.modules["vastai"] = None
sys.argv = ["comfy-worker", "deploy", "status"]
from worker.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-P", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "comfy-worker: the package vastai is not installed; `pip install 'comfy-worker[vast]'` installs it\n"
    )
