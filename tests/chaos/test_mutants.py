"""The table of cures fits the code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chaos.mutants import ROOT, Mutant, killed, table


@pytest.mark.parametrize("mutant", table(), ids=lambda mutant: mutant.cure)
def test_every_row_fits_the_code(mutant: Mutant, tmp_path: Path) -> None:
    """The text to replace stands exactly once in its file, and the test is there."""
    target = tmp_path / mutant.file
    target.parent.mkdir(parents=True)
    shutil.copy2(ROOT / mutant.file, target)
    mutant.apply(tmp_path)
    path, _, name = mutant.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / path).read_text("utf-8")


def test_cures_have_names_of_their_own() -> None:
    """A row can be asked for by its name."""
    names = [mutant.cure for mutant in table()]
    assert len(names) == len(set(names))


def test_a_survivor_is_told(tmp_path: Path) -> None:
    """A change that no test notices counts as survived, and the file is put back."""
    (tmp_path / "cure.py").write_text("VALUE = 1\n")
    (tmp_path / "test_code.py").write_text("from cure import VALUE\n\n\ndef test_value():\n    assert VALUE == 1\n")
    assert killed(Mutant("noticed", "cure.py", "VALUE = 1", "VALUE = 2", "test_code.py"), tmp_path)
    assert not killed(Mutant("survives", "cure.py", "VALUE = 1", "VALUE = 1.0", "test_code.py"), tmp_path)
    assert (tmp_path / "cure.py").read_text() == "VALUE = 1\n"
