"""Mutation tests: remove one fix at a time and require that its test fails: `python -m chaos.mutants [--only TEXT]`."""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).with_suffix(".toml")
COPIED = ("worker", "tests", "chaos", "workflows", "docs", "comfyui_nodes.txt", "pyproject.toml", "README.md")
PYTEST_TIMEOUT_S, TEST_TIMEOUT_S = 120, 15
"""Time limits of one pytest process and of one test. No test takes 10 s when it passes."""
THREADS = 2
TEST_FAILED = 1
"""pytest's exit code for failed tests. Other codes mean that the tests could not be run."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One row of the table.

    `find` occurs exactly once in `file`. With `put` in its place the fix is removed, and `test` must fail.
    """

    fix: str
    file: str
    find: str
    put: str
    test: str

    def apply(self, tree: Path) -> None:
        """Replace the text in a copy of the tree. Raises ValueError when the table does not match the code."""
        path = tree / self.file
        source = path.read_text("utf-8")
        if source.count(self.find) != 1:
            raise ValueError(
                f"{self.fix}: {self.find!r} occurs {source.count(self.find)} times in {self.file}, not once"
            )
        path.write_text(source.replace(self.find, self.put), "utf-8")


def table() -> list[Mutant]:
    """Return the rows of chaos/mutants.toml."""
    return [Mutant(fix=row.pop("cure"), **row) for row in tomllib.loads(TABLE.read_text("utf-8"))["mutant"]]


def is_detected(mutant: Mutant, tree: Path) -> bool:
    """Apply a mutant, run its test, restore the file, and return whether the test failed."""
    path = tree / mutant.file
    before = path.read_bytes()
    mutant.apply(tree)
    try:
        return run(mutant.test.split(), tree).returncode == TEST_FAILED
    except subprocess.TimeoutExpired:
        return True  # the fix prevents an endless wait
    finally:
        path.write_bytes(before)


def run(tests: Sequence[str], tree: Path, timeout_s: float = PYTEST_TIMEOUT_S) -> subprocess.CompletedProcess[str]:
    """Run tests with pytest in a copy of the tree. Raises subprocess.TimeoutExpired."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        f"--timeout={TEST_TIMEOUT_S}",
        *tests,
    ]
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=tree, env=env, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
    )


def check_tests_pass(mutants: Sequence[Mutant], tree: Path) -> None:
    """Run all tests without a mutant, because a failing test would detect every mutant. Exits when one fails."""
    tests = list(dict.fromkeys(part for mutant in mutants for part in mutant.test.split()))
    completed = run(tests, tree, PYTEST_TIMEOUT_S * len(tests))
    if completed.returncode:
        sys.exit(f"A test fails without any mutant:\n{completed.stdout[-2000:]}")


def main() -> None:
    """Test the chosen mutants. Exits with 1 when one is not detected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="test only fixes whose name contains this text")
    parser.add_argument("--every", type=int, default=1, help="test only every Nth row")
    options = parser.parse_args()
    mutants = [mutant for mutant in table() if options.only in mutant.fix][:: options.every]
    if not mutants:
        parser.error(f"no fix contains the text {options.only!r}")
    trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(THREADS) as threads:
        for number in range(THREADS):
            trees.put(_copy_tree(Path(folder, str(number))))
        check_tests_pass(mutants, Path(folder, "0"))
        detected = list(threads.map(lambda mutant: _test(mutant, trees), mutants))
    print(f"{sum(detected)} detected, {len(detected) - sum(detected)} survived")
    sys.exit(not all(detected))


def _copy_tree(target: Path) -> Path:
    """Copy the project into a new folder and return it."""
    target.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, target / name)
    return target


def _test(mutant: Mutant, trees: queue.SimpleQueue[Path]) -> bool:
    """Test one mutant in a free copy of the tree, print the result, and return whether it was detected."""
    tree = trees.get()
    try:
        detected = is_detected(mutant, tree)
    finally:
        trees.put(tree)
    print(f"{'detected' if detected else 'SURVIVED'}  {mutant.fix}", flush=True)
    return detected


if __name__ == "__main__":
    main()
