"""The comparison of documented and printed lines notices what is wrong, and ignores what is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import Step
from tests.docs.shell_session import PORTS, matches, run_steps

PRINTED = "✓ done in 253 ms  (embedded)\n  out/a_00001_.png    image\n  total   253 ms    ████\n"


@pytest.mark.parametrize(
    "documented",
    [
        ["✓ done in 1.2 s  (embedded)"],
        ["✓ done …", "  out/a_00002_.png    image"],
        ["…", "  total  12 ms  ██"],
        ["  out/… image"],
    ],
)
def test_matches_accepts_other_numbers_bars_and_an_ellipsis(documented: list[str]) -> None:
    """Return nothing when the lines are printed in their order."""
    assert matches(documented, PRINTED) == ""


@pytest.mark.parametrize(
    "documented", [["✓ finished in 253 ms  (embedded)"], ["  total …", "✓ done …"], ["  out/a_00001_.png    video"]]
)
def test_matches_names_a_line_that_is_not_printed(documented: list[str]) -> None:
    """Return the line when a word differs, and the second of two lines in the wrong order."""
    assert matches(documented, PRINTED) == documented[-1]


def test_run_steps_returns_the_status_and_output_of_each_command(tmp_path: Path) -> None:
    """Commands share one shell; each has its own status; a process in the background is stopped at the end."""
    steps = [Step("NAME=x; sleep 300 &", ()), Step("echo $NAME 18288", ()), Step("false", ())]
    assert run_steps(steps, tmp_path, PORTS) == [(0, ""), (0, "x 18288\n"), (1, "")]
