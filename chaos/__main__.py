"""Run a stress test, write its chapter of docs/reliability.md, and fail when a target is missed."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from chaos import extremes, fuzz, matrix, soak
from chaos.reliability_page import Chapter, with_chapter
from chaos.testbed.external_comfyui import ExternalComfyUI
from worker.connections import raise_file_limit

Run = Callable[[argparse.Namespace, Path], Coroutine[Any, Any, Chapter]]
STATE = Path(".state")


async def _soak(options: argparse.Namespace, folder: Path) -> Chapter:
    """Run clients while managed engines are killed."""
    plan = soak.SHORT if options.short else soak.FULL
    return await soak.soak(dataclasses.replace(plan, **_plan_options(options)), folder)


async def _sockets(options: argparse.Namespace, folder: Path) -> Chapter:
    """Run clients while the WebSocket to an external engine is broken."""
    plan = soak.SOCKETS_SHORT if options.short else soak.SOCKETS
    return await soak.soak(dataclasses.replace(plan, **_plan_options(options)), folder)


async def _fuzz(options: argparse.Namespace, folder: Path) -> Chapter:
    """Send generated requests."""
    plan = fuzz.SHORT if options.short else fuzz.FULL
    return await fuzz.fuzz(dataclasses.replace(plan, **_plan_options(options)), folder)


async def _matrix(options: argparse.Namespace, folder: Path) -> Chapter:
    """Run the fault matrix."""
    plan = dataclasses.replace(matrix.SHORT_PLAN if options.short else matrix.FULL_PLAN, only=options.only)
    if options.comfyui:
        comfyui = ExternalComfyUI(options.comfyui.resolve(), options.workflow.resolve())
        plan = dataclasses.replace(plan, jobs=2, comfyui=comfyui)
    return await matrix.matrix(dataclasses.replace(plan, **_plan_options(options)), folder)


async def _extremes(options: argparse.Namespace, folder: Path) -> Chapter:
    """Run jobs with very many and very large outputs."""
    plan = extremes.SHORT if options.short else extremes.FULL
    return await extremes.extremes(dataclasses.replace(plan, **_plan_options(options)), folder)


RUNS: dict[str, Run] = {"soak": _soak, "sockets": _sockets, "fuzz": _fuzz, "matrix": _matrix, "extremes": _extremes}


def main() -> None:
    """Run the chosen test. Exits with a message when a target is missed."""
    options = _parser().parse_args()
    STATE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{options.run}-", dir=STATE)).resolve()
    raise_file_limit()
    chapter = uvloop.run(RUNS[options.run](options, folder))
    print(chapter.markdown())
    if not options.short and not options.only:
        options.out.write_text(with_chapter(options.out.read_text("utf-8"), chapter), "utf-8")
    missed = [f"{finding.name}: {finding.value}" for finding in chapter.findings if not finding.met]
    if missed:
        sys.exit(f"Targets were missed. The logs are in {folder}.\n" + "\n".join(missed))
    if not options.keep:
        shutil.rmtree(folder)


def _plan_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of the plan that were set on the command line."""
    return {name: value for name in ("jobs", "seed") if (value := getattr(options, name))}


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("run", choices=RUNS, help="the test to run")
    parser.add_argument("--short", action="store_true", help="run a small version, for every change")
    parser.add_argument("--jobs", type=int, help="number of jobs or requests")
    parser.add_argument("--only", default="", help="run only matrix cases whose name contains this text")
    parser.add_argument("--comfyui", type=Path, help="run the matrix on the ComfyUI in this folder")
    parser.add_argument("--workflow", type=Path, help="workflow in API format that this ComfyUI runs")
    parser.add_argument("--keep", action="store_true", help="keep the logs and folders of the run")
    parser.add_argument("--seed", type=int, help="seed of the random order")
    parser.add_argument("--out", type=Path, default=Path("docs/reliability.md"), help="page that a full run updates")
    return parser


if __name__ == "__main__":
    main()
