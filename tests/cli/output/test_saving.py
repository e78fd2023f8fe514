"""Outputs on their way into a folder."""

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
def test_a_server_can_not_choose_a_dangerous_name(given: str, safe: str) -> None:
    """No folders, no hidden files, no control characters, no endless names."""
    assert safe_name(given) == safe


async def test_outputs_inline_by_url_and_as_text(tmp_path: Path) -> None:
    """Each kind ends as a file; what fails half-way leaves none."""

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
