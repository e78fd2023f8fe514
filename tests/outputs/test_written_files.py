"""Finding of new files in an engine's folders, whatever jobs write there."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.outputs.written_files import UNCLAIMED_S, WrittenFiles

DEPTH = 1500


@contextmanager
def deep(root: Path) -> Iterator[Path]:
    """Create a folder inside a thousand others in steps, as jobs could do it, and remove it afterwards."""
    folder = root
    for _ in range(DEPTH // 100):
        folder = Path(f"{folder}{'/a' * 100}")
        os.makedirs(folder)  # noqa: PTH103
    try:
        yield folder
    finally:
        subprocess.run(["rm", "-rf", root / "a"], check=True)


def test_folders_inside_more_than_a_thousand_others(tmp_path: Path) -> None:
    """WrittenFiles finds new files at any depth of folders."""
    with deep(tmp_path) as folder:
        files = WrittenFiles({"output": tmp_path}, starts_engine=True)
        window = files.begin_prompt(None, isolated=True)
        (folder / "new.png").write_bytes(b"new")
        (tmp_path / "top.png").write_bytes(b"top")
        assert {found.path.name for found in files.written_by(window)} == {"new.png", "top.png"}


def test_an_existing_file_is_kept_when_it_changes(tmp_path: Path) -> None:
    """written_by neither returns nor removes a file that existed before the worker."""
    existing = tmp_path / "operators.json"
    existing.write_bytes(b"1")
    files = WrittenFiles({"output": tmp_path}, starts_engine=True)
    files.begin_prompt(None, isolated=True).end = time.time() * 1000 - 50_000
    existing.write_bytes(b"22")
    old = time.time() - UNCLAIMED_S - 10
    os.utime(existing, (old, old))
    assert files.written_by(files.begin_prompt(time.time() * 1000 + 60_000, isolated=True), thorough=True) == []
    assert existing.exists()
    (tmp_path / "late.png").write_bytes(b"late")
    os.utime(tmp_path / "late.png", (old, old))
    files.sweep()
    assert not (tmp_path / "late.png").exists()
