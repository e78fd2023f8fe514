"""`python -m chaos soak|sockets|fuzz|matrix|extremes`: run it, write its chapter, fail when a target is missed."""

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
from chaos.document import Chapter, with_chapter
from chaos.testbed.real import Real
from worker.connections import raise_file_limit

Run = Callable[[argparse.Namespace, Path], Coroutine[Any, Any, Chapter]]
STATE = Path(".state")


async def _soak(options: argparse.Namespace, folder: Path) -> Chapter:
    plan = soak.SHORT if options.short else soak.FULL
    return await soak.soak(dataclasses.replace(plan, **_given(options)), folder)


async def _sockets(options: argparse.Namespace, folder: Path) -> Chapter:
    plan = soak.SOCKETS_SHORT if options.short else soak.SOCKETS
    return await soak.soak(dataclasses.replace(plan, **_given(options)), folder)


async def _fuzz(options: argparse.Namespace, folder: Path) -> Chapter:
    plan = fuzz.SHORT if options.short else fuzz.FULL
    return await fuzz.fuzz(dataclasses.replace(plan, **_given(options)), folder)


async def _matrix(options: argparse.Namespace, folder: Path) -> Chapter:
    plan = dataclasses.replace(matrix.SHORTER if options.short else matrix.FULL, only=options.only)
    if options.comfyui:
        real = Real(options.comfyui.resolve(), options.workflow.resolve())
        plan = dataclasses.replace(plan, jobs=2, real=real)
    return await matrix.matrix(dataclasses.replace(plan, **_given(options)), folder)


async def _extremes(options: argparse.Namespace, folder: Path) -> Chapter:
    plan = extremes.SHORT if options.short else extremes.FULL
    return await extremes.extremes(dataclasses.replace(plan, **_given(options)), folder)


RUNS: dict[str, Run] = {"soak": _soak, "sockets": _sockets, "fuzz": _fuzz, "matrix": _matrix, "extremes": _extremes}


def main() -> None:
    options = _options().parse_args()
    STATE.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{options.what}-", dir=STATE)).resolve()
    raise_file_limit()
    chapter = uvloop.run(RUNS[options.what](options, folder))
    print(chapter.markdown())
    if not options.short and not options.only:
        options.out.write_text(with_chapter(options.out.read_text("utf-8"), chapter), "utf-8")
    missed = [f"{finding.what}: {finding.found}" for finding in chapter.findings if not finding.met]
    if missed:
        sys.exit(f"missed (logs in {folder}):\n" + "\n".join(missed))
    if not options.keep:
        shutil.rmtree(folder)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name in ("jobs", "seed") if (value := getattr(options, name))}


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("what", choices=RUNS)
    parser.add_argument("--short", action="store_true", help="a small run, for every change")
    parser.add_argument("--jobs", type=int, help="how many jobs or requests")
    parser.add_argument("--only", default="", help="rows of the matrix whose name has this in it")
    parser.add_argument("--comfyui", type=Path, help="the matrix on a real ComfyUI: its folder")
    parser.add_argument("--workflow", type=Path, help="what it is to run meanwhile, in API format")
    parser.add_argument("--keep", action="store_true", help="leave logs and folders where they are")
    parser.add_argument("--seed", type=int, help="another order of things")
    parser.add_argument("--out", type=Path, default=Path("docs/reliability.md"), help="what a full run writes")
    return parser


if __name__ == "__main__":
    main()
