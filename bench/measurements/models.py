"""`python -m bench.measurements.models`: fetching models, compared with one `curl`, over a link of 1 Gbit/s."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from bench import machine
from bench.document import BenchRun, with_section
from bench.finding import Measurement
from bench.servers.direct import JobFailedError
from bench.spread import Spread
from worker.models.fetcher import ModelFetcher
from worker.models.folder import ModelsFolder
from worker.settings import FetchSettings
from worker.workflow.templates.template import ModelFile

GIGABIT = 1e9 / 8
MIB = 1024 * 1024
AT_LEAST = 0.90


async def fetching(folder: Path, size_mib: int, files: int, rounds: int) -> Measurement:
    """Return the speed of `models fetch` for several files relative to `curl` for one file of the same total size."""
    curls, ours = [], []
    async with gigabit(folder) as port:
        model_files = _write_models(folder, size_mib * MIB // files, files, port)
        single_file = folder / "whole"
        _write(single_file, size_mib * MIB)
        for round_number in range(rounds):
            curls.append(await _curl(f"http://127.0.0.1:{port}/{single_file.name}", folder / "curled"))
            ours.append(await _fetch(folder / f"models-{round_number}", model_files, port))
    rate = size_mib * MIB * 8 / 1e9
    return Measurement(
        name=f"models fetch, {files} files at once, {size_mib} MiB on a link of 1 Gbit/s, sha256 included",
        value=f"{rate / Spread.of(ours).median:.3f} Gbit/s",
        reference=f"{rate / Spread.of(curls).median:.3f} Gbit/s (one curl)",
        measured=Spread.ratio(curls, ours),
        at_least=AT_LEAST,
    )


@asynccontextmanager
async def gigabit(folder: Path) -> AsyncIterator[int]:
    """Run a file server behind a simulated link of 1 Gbit/s, and yield its port."""
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.servers.link", str(folder), str(GIGABIT)), stdout=asyncio.subprocess.PIPE
    )
    try:
        port_line = await server.stdout.readline() if server.stdout else b""
        if not port_line:
            raise JobFailedError("the file server did not start")
        yield int(port_line)
    finally:
        server.terminate()
        await server.wait()


def _write_models(folder: Path, size: int, files: int, port: int) -> list[ModelFile]:
    """Write the model files and return them."""
    model_files = []
    for number in range(files):
        name = f"model-{number}.safetensors"
        sha256 = _write(folder / name, size)
        model_files.append(ModelFile(name, "checkpoints", f"http://127.0.0.1:{port}/{name}", size, sha256))
    return model_files


def _write(path: Path, size: int) -> str:
    """Write random bytes and return their sha256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(size // MIB):
            block = os.urandom(MIB)
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


async def _curl(url: str, target: Path) -> float:
    """Return the seconds that `curl` takes."""
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec("curl", "--silent", "--fail", "--output", str(target), url)
    if await process.wait():
        raise JobFailedError("curl failed")
    return time.perf_counter() - started


async def _fetch(root: Path, model_files: list[ModelFile], port: int) -> float:
    """Return the seconds that `models fetch` takes, with hashing."""
    started = time.perf_counter()
    async with ModelFetcher(FetchSettings(allow=f"127.0.0.1:{port}"), ModelsFolder(root)) as fetcher:
        outcomes = await fetcher.fetch_all(model_files)
    seconds = time.perf_counter() - started
    for outcome in outcomes:
        if outcome.error:
            raise JobFailedError(outcome.error.message)
        (root / outcome.file.folder / outcome.file.file).unlink()
    return seconds


@dataclass(frozen=True, slots=True)
class FetchRun(BenchRun):
    """A run without an engine."""

    @property
    def title(self) -> str:
        return "## Fetching models"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.measurements.models", description=__doc__)
    parser.add_argument("--mib", type=int, default=512, help="MiB that are fetched each way in a round")
    parser.add_argument("--files", type=int, default=4, help="number of files")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks.md"), help="the document to write")
    options = parser.parse_args()
    started, load = datetime.now(UTC), machine.load()
    Path(".state").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".state") as folder:
        measurement = uvloop.run(fetching(Path(folder).resolve(), options.mib, options.files, options.rounds))
    facts = [
        *machine.facts(),
        ("load average", f"{load} before, {machine.load()} after"),
        ("rounds", str(options.rounds)),
        ("when", f"{started:%Y-%m-%d %H:%M} UTC, took {(datetime.now(UTC) - started).seconds} s"),
        ("command", "`python -m bench.measurements.models`"),
    ]
    document = options.out.read_text("utf-8") if options.out.exists() else ""
    options.out.write_text(with_section(document, FetchRun("", [measurement], [], facts)), "utf-8")
    print(
        "  ".join(
            (
                measurement.name,
                measurement.value,
                measurement.reference,
                measurement.measured.show(measurement.unit),
                measurement.target,
                measurement.verdict,
            )
        )
    )
    sys.exit("missed" if measurement.missed else None)


if __name__ == "__main__":
    main()
