"""Embedded engines in processes of their own, for tests that need a real server or kill one."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class EngineHandle:
    """A running engine. `restart` keeps its port and folders, as for a supervised ComfyUI."""

    base: Path
    process: subprocess.Popen[str]
    url: str
    options: list[str] = field(default_factory=list)

    @property
    def output(self) -> Path:
        return self.base / "output"

    @property
    def input(self) -> Path:
        return self.base / "input"

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def restart(self) -> None:
        self.process, _ = launch(self.base, self.url.rsplit(":", 1)[1], self.options)


def launch(base: Path, port: str, options: list[str]) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "worker", "engine", "--port", port, "--base", str(base), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "http://" in line, f"the engine did not start: {line}{process.stdout.read()}"
    return process, line.split()[-1]


@contextmanager
def start_engine(base: Path, *options: str) -> Iterator[EngineHandle]:
    process, url = launch(base, "0", list(options))
    handle = EngineHandle(base, process, url, list(options))
    try:
        yield handle
    finally:
        if handle.process.poll() is None:
            handle.kill(signal.SIGTERM)
