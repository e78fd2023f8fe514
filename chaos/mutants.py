"""Takes away one cure at a time and requires that its test fails: `python -m chaos.mutants [--only TEXT]`."""

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
LONGEST_TEST_S, TIMEOUT_S = 120, 15
"""Of all that pytest does, and of each test: none takes 10 s where it passes."""
AT_ONCE = 2
TEST_FAILED = 1
"""pytest's exit code for it; others mean that the test could not even be run, which proves nothing."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """`find` stands exactly once in `file`; with `put` in its place the cure is gone, and `test` must fail."""

    cure: str
    file: str
    find: str
    put: str
    test: str

    def apply(self, tree: Path) -> None:
        """Raises ValueError where the table no longer fits the code."""
        path = tree / self.file
        source = path.read_text("utf-8")
        if source.count(self.find) != 1:
            raise ValueError(f"{self.cure}: {self.find!r} stands {source.count(self.find)} times in {self.file}")
        path.write_text(source.replace(self.find, self.put), "utf-8")


def table() -> list[Mutant]:
    return [Mutant(**row) for row in tomllib.loads(TABLE.read_text("utf-8"))["mutant"]]


def killed(mutant: Mutant, tree: Path) -> bool:
    """Whether the test notices. The file is put back afterwards."""
    path = tree / mutant.file
    before = path.read_bytes()
    mutant.apply(tree)
    try:
        return run(mutant.test.split(), tree).returncode == TEST_FAILED
    except subprocess.TimeoutExpired:
        return True  # a cure against waiting for ever
    finally:
        path.write_bytes(before)


def run(tests: Sequence[str], tree: Path, longest_s: float = LONGEST_TEST_S) -> subprocess.CompletedProcess[str]:
    """Raises TimeoutExpired."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--timeout={TIMEOUT_S}", *tests]
    env = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=tree, env=env, capture_output=True, text=True, errors="replace", timeout=longest_s, check=False
    )


def check_unharmed(mutants: Sequence[Mutant], tree: Path) -> None:
    """A test that fails anyway would notice everything. Exits where there is one."""
    tests = list(dict.fromkeys(part for mutant in mutants for part in mutant.test.split()))
    done = run(tests, tree, LONGEST_TEST_S * len(tests))
    if done.returncode:
        sys.exit(f"with every cure in place a test fails:\n{done.stdout[-2000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cures whose name has this in it")
    parser.add_argument("--every", type=int, default=1, help="one row of so many")
    asked = parser.parse_args()
    chosen = [mutant for mutant in table() if asked.only in mutant.cure][:: asked.every]
    trees: queue.SimpleQueue[Path] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as threads:
        for number in range(AT_ONCE):
            trees.put(_tree(Path(folder, str(number))))
        check_unharmed(chosen, Path(folder, "0"))
        noticed = list(threads.map(lambda mutant: _tried(mutant, trees), chosen))
    print(f"{sum(noticed)} noticed, {len(noticed) - sum(noticed)} survived")
    sys.exit(not all(noticed))


def _tree(place: Path) -> Path:
    place.mkdir()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, place / name)
    return place


def _tried(mutant: Mutant, trees: queue.SimpleQueue[Path]) -> bool:
    tree = trees.get()
    try:
        noticed = killed(mutant, tree)
    finally:
        trees.put(tree)
    print(f"{'noticed ' if noticed else 'SURVIVED'}  {mutant.cure}", flush=True)
    return noticed


if __name__ == "__main__":
    main()
