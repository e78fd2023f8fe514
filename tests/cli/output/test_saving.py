"""Outputs that are saved in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.cli.output.saving import safe_name, save


@pytest.mark.parametrize(
    ("given", "safe"),
    [
        ("ComfyUI_00001_.png", "ComfyUI_00001_.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\evil\\a.png", "a.png"),
        (".bashrc", "bashrc"),
        ("a\nb\x1b[31m.png", "a_b__31m.png"),
        ("кот.png", "кот.png"),
        ("", "output"),
        ("..", "output"),
        ("x" * 300 + ".png", "x" * 120 + ".png"),
    ],
)
def test_safe_name_removes_dangerous_parts(given: str, safe: str) -> None:
    """`safe_name` removes folders, leading dots and control characters, and shortens long names."""
    assert safe_name(given) == safe


async def test_save_writes_each_kind_of_output(tmp_path: Path) -> None:
    """`save` writes inline data, downloads and texts to files, and removes the file of a failed download."""

    async def fetch(url: str, path: Path) -> None:
        path.write_bytes(b"half")
        if url == "bad":
            raise ConnectionError(url)

    common = {"node_id": "9", "kind": "image", "mime": "image/png"}
    rows = [
        {**common, "filename": "a.png", "data": "aGk="},
        {**common, "filename": "b.png", "url": "good"},
        {**common, "filename": "", "text": "said"},
    ]
    saved = await save(rows, tmp_path, fetch)
    assert [file.path.name for file in saved] == ["a.png", "b.png", "text-9.txt"]
    assert [file.path.read_bytes() for file in saved] == [b"hi", b"half", b"said"]
    with pytest.raises(ConnectionError):
        await save([{**common, "filename": "c.png", "url": "bad"}], tmp_path, fetch)
    assert not (tmp_path / "c.png").exists()
