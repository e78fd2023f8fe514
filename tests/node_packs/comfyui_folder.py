"""A ComfyUI folder whose main.py prints a given log, and then runs the embedded engine or exits."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

MAIN = """
import argparse, json, pathlib, sys
from worker.simulators.comfyui.server.serve import run
from worker.simulators.comfyui.settings import EngineSettings
from worker.workflow.catalog.catalog import Catalog

here = pathlib.Path(__file__).parent
told = json.loads((here / "told.json").read_text())
parser = argparse.ArgumentParser()
for name in ("--listen", "--port", "--output-directory", "--extra-model-paths-config"):
    parser.add_argument(name)
parser.add_argument("--cpu", action="store_true")
given, _ = parser.parse_known_args()
print(told["log"].replace("HERE", str(here)), file=sys.stderr, flush=True)
if told["code"] is not None or not given.cpu:
    sys.exit(told["code"])
catalog = Catalog.bundled().with_classes(told["classes"])
base = pathlib.Path(given.output_directory).parent
run(EngineSettings(base=base, host=given.listen, port=int(given.port), catalog=catalog))
"""


def write(
    folder: Path,
    packs: Iterable[str],
    log: str,
    *,
    classes: Mapping[str, object] | None = None,
    code: int | None = None,
) -> Path:
    """Write the folder.

    `HERE` in the log is the folder; `classes` replaces classes of the catalog, None removes one.
    """
    folder.mkdir()
    (folder / "main.py").write_text(MAIN)
    for pack in packs:
        (folder / "custom_nodes" / pack).mkdir(parents=True)
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -B "$@"\n')
    python.chmod(0o755)
    (folder / "told.json").write_text(json.dumps({"log": log, "classes": classes or {}, "code": code}))
    return folder


def imported(*packs: str) -> str:
    """Return ComfyUI 0.33's log about imported packs."""
    lines = "".join(f"\x1b[32m[INFO]\x1b[0m    0.1 seconds: HERE/custom_nodes/{pack}\n" for pack in packs)
    return f"\x1b[32m[INFO]\x1b[0m \nImport times for custom nodes:\n{lines}"
