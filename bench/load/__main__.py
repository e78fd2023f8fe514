"""`python -m bench.load [PART ...]`: measure, print the rows, write docs/load.md, and fail when a target is missed."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import machine
from bench.load import autoscaler, mixed_trace, overhead, points, production_trace, real_cpu
from bench.load.page import MeasuredPart, with_part
from bench.load.part import PartResult, not_run

STATE = Path(".state")
PAGE = Path("docs/load.md")
SEEDS = (101, 102, 103)
"""Seeds of the reported runs. Seeds below 100 are for development."""
JOBS, SHORT_JOBS = 2000, 300
REAL_JOBS, SHORT_REAL_JOBS = 60, 15


def main() -> None:
    """Measure the chosen parts and write the page. Exit with 1 if a target is missed."""
    options = _options().parse_args()
    if unknown := set(options.parts) - PARTS.keys():
        sys.exit(f"unknown part: {', '.join(sorted(unknown))}. The parts are {', '.join(PARTS)}.")
    STATE.mkdir(exist_ok=True)
    missed = []
    for name in options.parts or PARTS:
        part = _measure(name, options)
        missed += [row.what for row in part.result.rows if row.met is False]
        for row in part.result.rows:
            print("  ".join(row.cells), flush=True)
        if not options.short:
            _write(part)
    sys.exit(f"missed: {'; '.join(missed)}" if missed else None)


def _measure(name: str, options: argparse.Namespace) -> MeasuredPart:
    """Measure one part in a folder that is removed at the end."""
    began, load_before = time.monotonic(), machine.load()
    with tempfile.TemporaryDirectory(prefix="bench-load-", dir=STATE) as folder:
        result = uvloop.run(_awaited(PARTS[name](options, Path(folder).resolve())))
    facts = [
        ("when", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, took {time.monotonic() - began:.0f} s"),
        *((fact, value) for fact, value in machine.facts() if fact in ("processor", "memory")),
        ("load average", f"{load_before} before, {machine.load()} after"),
        ("command", f"`{' '.join(['python -m bench.load', name, *_reported_options(name, options)])}`"),
    ]
    return MeasuredPart(name, result, facts)


async def _awaited(measurement: Awaitable[PartResult]) -> PartResult:
    """Return the result of a measurement."""
    return await measurement


def _write(part: MeasuredPart) -> None:
    """Write the rows, the notes and the plots of a part to the docs."""
    PAGE.write_text(with_part(PAGE.read_text("utf-8"), part, list(PARTS)), "utf-8")
    for file, svg in part.result.plots.items():
        (PAGE.parent / file).write_text(svg, "utf-8")


async def _points(options: argparse.Namespace, _: Path) -> PartResult:
    """Compare the closed form with public measurements, if their file is here."""
    if options.points is None:
        return not_run(points.WHAT + "plain runs", "no file of points", points.TARGET)
    return points.measure(options.points)


async def _mixed(options: argparse.Namespace, folder: Path) -> PartResult:
    """Measure the mixed trace."""
    seeds = options.seed or (SEEDS[:1] if options.short else SEEDS)
    return await mixed_trace.measure(seeds, SHORT_JOBS if options.short else JOBS, folder)


async def _real(options: argparse.Namespace, folder: Path) -> PartResult:
    """Measure a real ComfyUI, if there is one."""
    if options.comfyui is None:
        return not_run(real_cpu.WHAT, "no COMFYUI=FOLDER", real_cpu.TARGET)
    jobs = SHORT_REAL_JOBS if options.short else REAL_JOBS
    return await real_cpu.measure(options.comfyui.resolve(), options.models, _seed(options), jobs, folder)


async def _trace(options: argparse.Namespace, _: Path) -> PartResult:
    """Measure the production trace, if there is one."""
    return await production_trace.measure(options.trace)


async def _autoscaler(options: argparse.Namespace, folder: Path) -> PartResult:
    """Measure what the router receives."""
    return await autoscaler.measure(_seed(options), folder, short=options.short)


async def _overhead(options: argparse.Namespace, folder: Path) -> PartResult:
    """Measure the processor time."""
    return await overhead.measure(folder, short=options.short)


async def _gpu(_: argparse.Namespace, __: Path) -> PartResult:
    """Report that no GPU was measured."""
    return not_run("real sampling with random weights on a GPU", "no machine with a GPU")


PARTS: Mapping[str, Callable[[argparse.Namespace, Path], Awaitable[PartResult]]] = {
    "points": _points,
    "mixed": _mixed,
    "trace": _trace,
    "real": _real,
    "autoscaler": _autoscaler,
    "overhead": _overhead,
    "gpu": _gpu,
}
"""The parts by name, in the order of the table."""
FILES = {"points": "points", "trace": "trace", "real": "comfyui"}
"""The option without which a part is not run."""
SEEDED = ("mixed", "real", "autoscaler")


def _seed(options: argparse.Namespace) -> int:
    """Return the seed of a part that uses only one."""
    return int(options.seed[0] if options.seed else SEEDS[0])


def _reported_options(name: str, options: argparse.Namespace) -> list[str]:
    """Return the options that matter to a reader of this part, without paths."""
    seeds = [f"--seed {seed}" for seed in options.seed or ()] if name in SEEDED else []
    return seeds + ([f"--{FILES[name]} PATH"] if name in FILES and getattr(options, FILES[name]) else [])


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"parts to measure: {', '.join(PARTS)}; default: all")
    parser.add_argument("--seed", type=int, action="append", help="seed of the generators; repeat it for several")
    parser.add_argument("--short", action="store_true", help="few jobs, as a check of the benchmark; writes nothing")
    parser.add_argument("--points", type=Path, metavar="FILE", help="public measurements of speeds, as CSV")
    parser.add_argument("--comfyui", type=Path, metavar="FOLDER", help="a ComfyUI with main.py, which runs on the CPU")
    parser.add_argument("--models", type=Path, metavar="FOLDER", help="models for it, laid out as ComfyUI's models/")
    parser.add_argument("--trace", type=Path, metavar="FILE", help="requests of a production trace, as CSV")
    return parser


if __name__ == "__main__":
    main()
