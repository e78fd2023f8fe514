"""The cost of the sandbox: the same worker with and without it, each with its own engine.

`python -m bench.measurements.sandbox COMFYUI` measures only this. COMFYUI is a folder, or `embedded`.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench import targets
from bench.finding import Measurement
from bench.measurements.latency import LatencyPair, latency
from bench.prompts import Workload, flat_picture
from bench.rounds import TimedClient
from bench.servers import served
from bench.servers.processes import BenchEngine, worker

BOXED, OPEN = "ComfyUI in the sandbox", "ComfyUI without a sandbox"
PAIR = LatencyPair(BOXED, OPEN, targets.SANDBOX)


@asynccontextmanager
async def workers(folder: Path, comfyui: str = "embedded") -> AsyncIterator[dict[str, TimedClient]]:
    """Yield a client of each worker."""
    engine, env = BenchEngine(comfyui, None), {"WORKER_COMFYUI_ARGS": "" if comfyui == "embedded" else "--cpu"}
    async with (
        served.open_session() as session,
        worker(engine, folder / "boxed", env={**env, "WORKER_SANDBOX": "required"}) as boxed,
        worker(engine, folder / "open", env={**env, "WORKER_SANDBOX": "off"}) as open_,
    ):
        urls = {BOXED: boxed.url, OPEN: open_.url}
        yield {
            name: served.kept_client(served.Peer(name, "native", f"{url}/generate/sync"), session)
            for name, url in urls.items()
        }


async def sandbox(folder: Path, jobs: int, rounds: int, comfyui: str = "embedded") -> list[Measurement]:
    """Return the time of a job with the sandbox relative to one without it."""
    async with workers(folder, comfyui) as clients:
        return await latency(clients, [PAIR], [Workload("PNG of 2 KB", flat_picture, jobs)], rounds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.measurements.sandbox", description=__doc__)
    parser.add_argument("comfyui")
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=31)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for measurement in asyncio.run(sandbox(Path(folder), options.jobs, options.rounds, options.comfyui)):
            spread = measurement.measured
            quartiles = f"{spread.low:.3f} to {spread.high:.3f}"
            compared = f"{measurement.value} against {measurement.reference}"
            print(f"{measurement.name}: {compared}: x {spread.median:.3f} ({quartiles})")


if __name__ == "__main__":
    main()
