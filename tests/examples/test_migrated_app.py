"""The sample app after its move: the handlers are the same files, and the page says how much of the app is."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from docs.make_reuse import AFTER, BEFORE, PAGE, page, reuse_by_part
from tests.cli.terminal import cli

UNCHANGED = sorted(
    path.relative_to(BEFORE).as_posix()
    for folder in ("handlers", "graphs")
    for path in (BEFORE / folder).iterdir()
    if path.suffix in (".py", ".json")
)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", [*UNCHANGED, "utils/image_utils.py", "config.py", "requirements.txt"])
def test_a_file_is_byte_for_byte_the_same(name: str) -> None:
    """Handlers, their graphs and what they import from utils/image_utils.py did not change with the move."""
    assert digest(AFTER / name) == digest(BEFORE / name)


def test_the_app_on_modal_is_what_modal_init_writes(tmp_path: Path) -> None:
    """Its class has the methods of the sample app. `modal_app.py` is the one that users deploy."""
    assert cli("modal", "init", BEFORE, "--out", tmp_path / "new", cwd=tmp_path).returncode == 0
    for name in ("app.py", "modal_app.py"):
        assert (AFTER / name).read_bytes() == (tmp_path / "new" / name).read_bytes()


def test_most_of_the_code_is_reused() -> None:
    """The graphs, which are no code, do not help: the Python code alone has to reach the share."""
    share = {each.name: each.share for each in reuse_by_part()}
    assert share["`handlers/`"] == share["`utils/image_utils.py`"] == 1.0
    assert share["`utils/comfyui.py`"] >= 0.9
    assert share["`utils/cost_tracker.py`"] >= 0.85
    assert share["**the Python code**"] >= 0.7


def test_the_page_has_the_present_table() -> None:
    """`make docs` writes it."""
    assert PAGE.read_text("utf-8") == page()
