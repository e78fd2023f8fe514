"""`python -m worker.simulators.runpod`: run a stand-in for RunPod with one endpoint, until Ctrl-C or SIGTERM.

It prints the endpoint's URL, the key of clients, and the variables of a worker. With a command after `--`, it starts
workers by that command itself.
"""

from __future__ import annotations

import argparse
import asyncio
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from worker.errors import CannotListen
from worker.settings import environment
from worker.simulators.runpod.assumptions import RunpodAssumptions
from worker.simulators.runpod.load_balancing.balancer import serve_load_balancer
from worker.simulators.runpod.pods.pod_pool import PodOptions
from worker.simulators.runpod.pods.scaling import PodScaling
from worker.simulators.runpod.server import serve


def _arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser("python -m worker.simulators.runpod", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="port on loopback; 0 (the default) takes a free one")
    add("--endpoint", default="comfy", help="id of the endpoint")
    add("--worker-id", default="worker-1", help="id of the worker whose variables are printed")
    add("--load-balancing", action="store_true", help="a load-balancing endpoint instead of a queue")
    add("--attach", type=int, action="append", default=[], metavar="PORT", help="load-balanced worker on this port")
    add("--min-workers", type=int, default=0, help="workers that always run")
    add("--max-workers", type=int, default=1, help="most workers at once")
    add("--idle-timeout", type=float, default=PodScaling().idle_timeout_s, help="seconds before an idle worker stops")
    add("--request-count", type=int, help="open requests for each worker; without it a worker is added after a wait")
    add("--assume", action="append", default=[], metavar="NAME=VALUE", help="switch of assumptions.py; repeatable")
    add("command", nargs="*", help="command of a worker, after --")
    return parser.parse_args()


def _options(arguments: argparse.Namespace, folder: Path) -> PodOptions | None:
    """Return how workers are started, None without a command. Raises ValueError for a program that does not exist."""
    if not arguments.command:
        return None
    program = shutil.which(arguments.command[0])
    if program is None:
        raise ValueError(f"{arguments.command[0]}: no such program")
    command = [str(Path(program).absolute()), *arguments.command[1:]]
    scaling = PodScaling(
        min_workers=arguments.min_workers,
        max_workers=arguments.max_workers,
        idle_timeout_s=arguments.idle_timeout,
        request_count=arguments.request_count or (1 if arguments.load_balancing else None),
    )
    return PodOptions(command, folder, lambda _: environment(), scaling)


async def _run(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM. Raises CannotListen, and ValueError for a wrong switch."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    assumptions = RunpodAssumptions.read(arguments.assume)
    port, endpoint = arguments.port, arguments.endpoint
    with tempfile.TemporaryDirectory(prefix="runpod-") as name:
        pods = _options(arguments, Path(name))
        if arguments.load_balancing:
            async with serve_load_balancer(port, endpoint=endpoint, assumptions=assumptions, pods=pods) as balancer:
                for number, worker_port in enumerate(arguments.attach, 1):
                    balancer.add_worker(f"worker-{number}", worker_port)
                _print([f"endpoint url  {balancer.url}", f"api key       {balancer.api_key}"])
                await stopped.wait()
        else:
            async with serve(port, endpoint=endpoint, assumptions=assumptions, pods=pods) as runpod:
                variables = {} if pods else runpod.worker_environ(arguments.worker_id)
                _print([f"endpoint url  {runpod.endpoint_url}", f"api key       {runpod.api_key}"], variables)
                await stopped.wait()


def _print(lines: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
    """Print lines, and variables for a shell."""
    exports = [f"export {name}={shlex.quote(value)}" for name, value in (variables or {}).items()]
    sys.stdout.write("\n".join([*lines, *exports]) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        try:
            asyncio.run(_run(_arguments()))
        except (CannotListen, ValueError) as error:
            sys.exit(str(error))
