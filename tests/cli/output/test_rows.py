"""Rows and next steps on wide and narrow terminals."""

from __future__ import annotations

import io

from rich.console import Console
from rich.text import Text

from worker.cli.output.rows import print_rows, print_step

URL = "https://example.com/" + "a" * 40


def printed(width: int) -> list[str]:
    """Return the lines of two rows on a console of this width."""
    out = io.StringIO()
    rows = [[Text("✓ here"), Text("a.safetensors"), Text(URL)], [Text("↓ missing"), Text("b.safetensors"), Text("")]]
    print_rows(Console(file=out, width=width), rows)
    return out.getvalue().splitlines()


def test_rows_are_one_line_each_where_they_fit() -> None:
    """On a wide console each row is one line, with aligned columns."""
    assert printed(200) == [f"✓ here     a.safetensors  {URL}", "↓ missing  b.safetensors"]


def test_a_long_cell_has_its_own_line_on_a_narrow_console() -> None:
    """On a narrow console the last cell is on a line of its own, in one piece."""
    assert printed(60) == ["✓ here     a.safetensors", f"    {URL}", "↓ missing  b.safetensors"]


def test_a_step_wraps_below_its_first_word() -> None:
    """The further lines of a long step are indented like the first one."""
    out = io.StringIO()
    print_step(Console(file=out, width=30), "Run `comfy-worker doctor` to check this machine.")
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines == ["  → Run `comfy-worker doctor`", "    to check this machine."]
