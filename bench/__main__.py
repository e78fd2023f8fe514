"""`python -m bench`: measure, write the tables, and fail when a target is missed."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import uvloop

from bench import machine
from bench.document import BenchRun, with_section
from bench.finding import Measurement
from bench.plan import QUICK, BenchPlan
from bench.run import Bench
from bench.servers.processes import BenchEngine, embedded_engine
from bench.servers.served import DIALECTS, Peer
from worker.engine.protocol.api import ComfyApi
from worker.engine.protocol.responses import EngineInfo

STATE = Path(".state")
"""Folder for the workers' state. A new folder takes 10 us to create there, and 100 us in a crowded /tmp."""


def main() -> None:
    """Measure with the options of the command line, and write the document. Exit with 1 if a target is missed."""
    options = _options().parse_args()
    STATE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=STATE) as folder:
        run = uvloop.run(measure(options, Path(folder).resolve()))
    if options.out:
        document = options.out.read_text("utf-8") if options.out.exists() else ""
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(with_section(document, run), "utf-8")
    missed = [finding.name for finding in run.findings if finding.missed]
    sys.exit(f"missed: {'; '.join(missed)}" if missed else None)


async def measure(options: argparse.Namespace, folder: Path) -> BenchRun:
    """Measure everything, print each result and return the run."""
    started, load = datetime.now(UTC), machine.load()
    plan = QUICK if options.quick else BenchPlan()
    if options.rounds:
        plan = dataclasses.replace(plan, rounds=options.rounds, close_rounds=options.rounds)
    async with AsyncExitStack() as stack:
        engine = BenchEngine(options.comfyui, options.comfyui_folder)
        if not options.comfyui:
            engine = await stack.enter_async_context(embedded_engine(folder))
        bench = Bench(engine, await _info(engine), plan, folder)
        findings = []
        async for finding in bench.findings():
            findings.append(finding)
            print(_line(finding), flush=True)
        peer_results = await bench.peer_results(options.peer) if options.peer else []
    facts = [
        *machine.facts(),
        ("load average", f"{load} before, {machine.load()} after"),
        ("rounds", str(plan.rounds)),
        ("when", f"{started:%Y-%m-%d %H:%M} UTC, took {(datetime.now(UTC) - started).seconds} s"),
        ("command", f"`{' '.join(['python -m bench', *_reported_options(options)])}`"),
    ]
    notes = [("note", options.note)] if options.note else []
    return BenchRun(_name(bench.info), findings, peer_results, [*facts, *notes])


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--comfyui", metavar="URL", default="", help="a running ComfyUI; by default an embedded engine is started"
    )
    parser.add_argument(
        "--comfyui-folder", metavar="DIR", type=Path, help="the folder with that ComfyUI's input and output folders"
    )
    parser.add_argument(
        "--peer",
        type=Peer.read,
        action="append",
        default=[],
        metavar="NAME=DIALECT=URL",
        help=f"another server in front of the same ComfyUI; dialects: {', '.join(DIALECTS)}",
    )
    parser.add_argument("--rounds", type=int, help="number of rounds for each pair")
    parser.add_argument("--quick", action="store_true", help="a rough measurement in less than a minute")
    parser.add_argument("--note", help="a sentence for the document about how that ComfyUI was started")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks.md"), help="the document to write")
    return parser


async def _info(engine: BenchEngine) -> EngineInfo:
    async with aiohttp.ClientSession() as session:
        return await ComfyApi(session, engine.url).info()


def _name(info: EngineInfo) -> str:
    """Return the engine's name in the document."""
    return "the embedded engine" if info.embedded else f"ComfyUI {info.version} ({info.device})"


def _line(finding: Measurement) -> str:
    """Return the line that is printed for a measurement."""
    columns = (finding.name, finding.value, finding.reference, finding.measured.show(finding.unit), finding.target)
    return "  ".join((*columns, finding.verdict))


def _reported_options(options: argparse.Namespace) -> list[str]:
    """Return the options that matter to a reader, without addresses and folders."""
    flags = [("--quick", options.quick), ("--comfyui URL", options.comfyui), ("--rounds N", options.rounds)]
    peers = [f"--peer '{peer.name}={peer.dialect}=URL'" for peer in options.peer]
    return [name for name, is_set in flags if is_set] + peers


if __name__ == "__main__":
    main()
