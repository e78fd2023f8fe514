"""A stand-in for ComfyUI's source, which starts the worker's embedded engine. Its packs are empty."""

from __future__ import annotations

from pathlib import Path

from image.toolbox import BASE, Toolbox

PACKS = ("RES4LYF", "ControlAltAI-Nodes")

MAIN = '''\
"""Starts like ComfyUI, and then replaces itself by the embedded engine of the worker in this image."""

import argparse
import os
import pathlib

parser = argparse.ArgumentParser()
parser.add_argument("--listen")
parser.add_argument("--port")
parser.add_argument("--output-directory", type=pathlib.Path)
options, _ = parser.parse_known_args()
print("Import times for custom nodes:")
for pack in sorted(pathlib.Path(__file__).parent.glob("custom_nodes/*/")):
    print(f"   0.0 seconds: {pack}", flush=True)
python = "/opt/comfy-worker/env/bin/python"
base = str(options.output_directory.parent)
command = [python, "-P", "-m", "worker", "engine", "--host", options.listen, "--port", options.port, "--base", base]
os.execv(python, command)
'''


def write_sources(folder: Path) -> Path:
    """Write the sources for `--build-context sources=` and return their folder."""
    files = {"ComfyUI/main.py": MAIN, "ComfyUI/models/checkpoints/.keep": ""}
    files |= {"RES4LYF/example_workflows/one.json": "{}"}  # left out by the pack's line
    files |= {f"{pack}/__init__.py": "NODE_CLASS_MAPPINGS = {}\n" for pack in PACKS}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text() != text:
            path.write_text(text)
    return folder


TAG = "localhost/comfy-worker:standin"


def build(toolbox: Toolbox, tag: str = TAG, **arguments: str) -> tuple[str, float]:
    """Build the real Dockerfile on a small Debian, without torch, and return the image's name and the seconds it took.

    `arguments` are build arguments. Raises BuildError.
    """
    nothing = "--requirement locks/none.lock"
    all_arguments = {
        "BASE_IMAGE": BASE,
        "PYTHON": "python3.11",
        "BUILD_PACKAGES": "git",
        "TORCH": nothing,
        "REQUIREMENTS": nothing,
        **arguments,
    }
    sources = write_sources(toolbox.folder / "sources")
    return tag, toolbox.build(tag, contexts={"sources": sources}, arguments=all_arguments)
