"""`python -m worker.simulators.runpod`: run a stand-in for RunPod with one endpoint, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import signal
import sys
from contextlib import suppress

from worker.errors import CannotListen
from worker.simulators.runpod.server import serve


def _arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser("python -m worker.simulators.runpod", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 (the default) takes a free one")
    parser.add_argument("--endpoint", default="comfy", help="id of the endpoint")
    parser.add_argument("--worker-id", default="worker-1", help="id of the worker whose variables are printed")
    return parser.parse_args()


async def _run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM, and print the URL, the key and the variables of a worker. Raises CannotListen."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with serve(options.port, endpoint=options.endpoint) as runpod:
        lines = [f"endpoint url  {runpod.endpoint_url}", f"api key       {runpod.api_key}"]
        for name, value in runpod.worker_environ(options.worker_id).items():
            lines.append(f"export {name}={shlex.quote(value)}")
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        try:
            asyncio.run(_run(_arguments()))
        except CannotListen as error:
            sys.exit(str(error))
