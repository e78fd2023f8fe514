"""Writes what each command's `--help` says into its block of docs/cli.md, which a test holds to it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent / "cli.md"
BLOCK = re.compile(r"^\$ comfy-worker (?P<arguments>[^\n]*--help)\n.*?(?=^```$)", re.MULTILINE | re.DOTALL)


def main() -> None:
    DOCS.write_text(BLOCK.sub(_said, DOCS.read_text("utf-8")), "utf-8")


def _said(block: re.Match[str]) -> str:
    environment = os.environ | {"COLUMNS": "100", "TERM": "dumb"}
    command = [sys.executable, "-m", "worker", *block["arguments"].split()]
    text = subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout.strip("\n")
    said = "\n".join(line.rstrip() for line in text.splitlines())
    return f"$ comfy-worker {block['arguments']}\n{said}\n"


if __name__ == "__main__":
    main()
