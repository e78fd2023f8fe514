"""One shell in which the commands of a page run, in order, as a reader would type them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.docs.pages import ROOT, Step

PORTS = (18288, 8900, 8080)
"""Ports that the pages use; each is replaced by a free one."""

_LIMIT_S = 100


def run_steps(steps: Sequence[Step], folder: Path, ports: Sequence[int]) -> list[tuple[int, str]]:
    """Run commands in one bash in `folder`; return the exit status and the output of each.

    `ports` replace PORTS. Everything that a command left running is killed at the end.
    """
    prepare(folder)
    script = "".join(
        f"{step.command}\nprintf '\\n%s %d\\n' '{_mark(number)}' $?\n" for number, step in enumerate(steps)
    )
    script += "kill $(jobs -p) 2> /dev/null; wait\n"
    for documented, free in zip(PORTS, ports, strict=True):
        script = script.replace(str(documented), str(free))
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
        raise AssertionError(f"the commands of the page did not end within {_LIMIT_S} s:\n{text}") from None
    finally:
        stop_group(process.pid)
    for documented, free in zip(PORTS, ports, strict=True):
        text = text.replace(str(free), str(documented))
    return _results(text, len(steps))


def prepare(folder: Path) -> None:
    """Copy what a checkout has and the pages use."""
    for name in ("vast.toml", "comfyui_nodes.txt"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "workflows", folder / "workflows", dirs_exist_ok=True)
    (folder / "home").mkdir(exist_ok=True)


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WORKER_", "VAST_", "AWS_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, "HOME": str(folder / "home"), "COLUMNS": "110", "NO_COLOR": "1", "TERM": "dumb"}


def stop_group(group: int) -> None:
    """Kill the processes that a session left behind."""
    try:
        os.killpg(group, signal.SIGTERM)
    except ProcessLookupError:
        return


def matches(documented: Sequence[str], printed: str) -> str:
    """Return the first documented line that is not printed in its order, or an empty string.

    `…` stands for anything. Numbers, their units of time and bars may differ: they are measured.
    """
    lines = iter([_without_bars(line) for line in printed.splitlines()])
    for line in documented:
        words = _without_bars(line).split()
        if not words or words == ["…"]:
            continue
        pattern = re.compile(r"\s+".join(_pattern(word) for word in words))
        if not any(pattern.fullmatch(text) for text in lines):
            return line
    return ""


def _without_bars(line: str) -> str:
    return line.replace("█", "").strip()


def _pattern(word: str) -> str:
    if word in ("ms", "s"):
        return "m?s"
    return ".*?".join(_with_any_numbers(part) for part in word.split("…"))


def _with_any_numbers(text: str) -> str:
    parts = re.split(r"(\d[\d.,]*\d|\d)", text)
    return "".join(r"[\d.,]+" if number % 2 else re.escape(part) for number, part in enumerate(parts))


def _mark(number: int) -> str:
    return f"=== end of command {number} ==="


def _results(text: str, count: int) -> list[tuple[int, str]]:
    results = []
    for number in range(count):
        output, found, text = text.partition(f"\n{_mark(number).strip()} ")
        if not found:
            results.append((-1, output))
            break
        status, _, text = text.partition("\n")
        results.append((int(status), output))
    return results
