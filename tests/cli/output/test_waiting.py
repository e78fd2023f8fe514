"""The progress of steps that take longer than two seconds."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.terminal import environment
from worker.cli.output import waiting as module
from worker.cli.output.waiting import waiting


def test_a_terminal_has_a_spinner() -> None:
    """A terminal shows the step and its elapsed time, and nothing is left of it at the end."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80)
    with waiting("resolving", console) as shown:
        shown.update("downloading [a]")
        time.sleep(0.3)
    text = out.getvalue()
    assert "downloading [a]" in text
    assert "0:00:00" in text
    assert text.rstrip().endswith("\x1b[2K")


def test_a_log_has_nothing_of_a_short_step() -> None:
    """A step that is shorter than the delay prints no line."""
    out = io.StringIO()
    with waiting("resolving", Console(file=out)):
        pass
    assert out.getvalue() == ""


def test_a_log_has_lines_of_a_long_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long step prints a line, another one after the interval, and one for the next step."""
    monkeypatch.setattr(module, "PLAIN_DELAY_S", 0.02)
    monkeypatch.setattr(module, "PLAIN_INTERVAL_S", 0.05)
    out = io.StringIO()
    with waiting("resolving", Console(file=out)) as shown:
        time.sleep(0.3)
        shown.update("writing")
        time.sleep(0.3)
    lines = [line.partition(" s  ")[2] for line in out.getvalue().splitlines()]
    assert lines.count("resolving") > 1
    assert lines[-1] == "writing"


def test_a_failure_ends_the_lines() -> None:
    """An exception in the block leaves no thread behind."""
    import threading

    with pytest.raises(ValueError, match="x"), waiting("resolving", Console(file=io.StringIO())):
        raise ValueError("x")
    assert "waiting" not in {thread.name for thread in threading.enumerate()}


def test_results_stay_apart_from_progress(tmp_path: Path) -> None:
    """`run --json` in a terminal shows its progress there, and standard output is the JSON alone."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "worker", "run", "smoke-resize", "--json"],
        cwd=tmp_path,
        env=environment(TERM="xterm"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    try:
        while piece := os.read(master, 65536):
            shown += piece
    except OSError:  # the terminal has no writer any more
        pass
    out, _ = process.communicate(timeout=60)
    os.close(master)
    assert process.returncode == 0, shown
    assert out.startswith(b'{\n  "status": "success"')
    assert b"starting a worker and its engine" in shown
