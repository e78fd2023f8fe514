"""Tests of the mutation table and its runner."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chaos.mutants import ROOT, Mutant, is_detected, table


@pytest.mark.parametrize("mutant", table(), ids=lambda mutant: mutant.fix)
def test_every_row_matches_the_code(mutant: Mutant, tmp_path: Path) -> None:
    """Each row's text occurs exactly once in its file, and its test exists."""
    target = tmp_path / mutant.file
    target.parent.mkdir(parents=True)
    shutil.copy2(ROOT / mutant.file, target)
    mutant.apply(tmp_path)
    path, _, name = mutant.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / path).read_text("utf-8")


def test_fixes_have_unique_names() -> None:
    """Each row has a different name, so that --only can select it."""
    names = [mutant.fix for mutant in table()]
    assert len(names) == len(set(names))


def test_an_undetected_mutant_survives(tmp_path: Path) -> None:
    """A mutant that no test detects counts as survived, and its file is restored."""
    (tmp_path / "fixed.py").write_text("VALUE = 1\n")
    (tmp_path / "test_code.py").write_text("from fixed import VALUE\n\n\ndef test_value():\n    assert VALUE == 1\n")
    assert is_detected(Mutant("noticed", "fixed.py", "VALUE = 1", "VALUE = 2", "test_code.py"), tmp_path)
    assert not is_detected(Mutant("survives", "fixed.py", "VALUE = 1", "VALUE = 1.0", "test_code.py"), tmp_path)
    assert (tmp_path / "fixed.py").read_text() == "VALUE = 1\n"
