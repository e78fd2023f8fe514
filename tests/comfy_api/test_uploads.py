"""How long uploads are kept, and how many."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from worker.api.comfy.client_prompts import Scope
from worker.api.comfy.uploads import Uploads
from worker.bodies import SpooledFile
from worker.engine.protocol.api import FileRef

_numbers = count()
ANN, BOB = Scope("ann"), Scope("bob")


def sent(folder: Path, size: int) -> SpooledFile:
    """Return a file of a form, different from all others."""
    path = folder / f"sent-{next(_numbers)}"
    path.write_bytes(b"x" * size)
    return SpooledFile(path, size, path.name)


def ref(name: str) -> FileRef:
    return FileRef(name, "", "input")


async def test_a_caller_that_sends_much_loses_its_own_files(tmp_path: Path) -> None:
    """Above the limit, the oldest files of the caller with the most bytes are removed, and their data with them."""
    uploads = Uploads(tmp_path / "uploads", 60.0, 100)
    await uploads.store(BOB, ref("bob.png"), sent(tmp_path, 30))
    for name in ("1.png", "2.png", "3.png"):
        await uploads.store(ANN, ref(name), sent(tmp_path, 30))
    assert uploads.find(BOB, ref("bob.png")) is not None
    assert [uploads.find(ANN, ref(f"{number}.png")) is not None for number in (1, 2, 3)] == [False, True, True]
    assert sum(path.is_file() for path in (tmp_path / "uploads").rglob("*")) == 3


async def test_a_file_expires_after_its_last_use(tmp_path: Path) -> None:
    """A file without a use in its life is removed with its data."""
    uploads = Uploads(tmp_path / "uploads", 0.0, 100)
    await uploads.store(ANN, ref("a.png"), sent(tmp_path, 1))
    assert uploads.find(ANN, ref("a.png")) is None
    assert not any(path.is_file() for path in (tmp_path / "uploads").rglob("*"))


async def test_a_single_large_file_is_kept(tmp_path: Path) -> None:
    """The file of the request that is being served stays, whatever its size."""
    uploads = Uploads(tmp_path / "uploads", 60.0, 10)
    await uploads.store(ANN, ref("a.png"), sent(tmp_path, 50))
    assert uploads.find(ANN, ref("a.png")) is not None


async def test_nothing_of_an_earlier_process_is_left(tmp_path: Path) -> None:
    """`clear` removes the folder."""
    (tmp_path / "uploads").mkdir()
    (tmp_path / "uploads" / "old").write_bytes(b"x")
    await Uploads(tmp_path / "uploads", 60.0, 10).clear()
    assert not (tmp_path / "uploads").exists()
