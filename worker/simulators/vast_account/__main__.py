"""`python -m worker.simulators.vast_account`: run a stand-in for an empty Vast account, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from worker.errors import CannotListen, StartupError
from worker.settings import environment
from worker.simulators.vast_account.server import serve
from worker.simulators.vast_router.local_fleet import start_fleet

READY_S = 60.0


def _arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser("python -m worker.simulators.vast_account", description=__doc__)
    parser.add_argument(
        "port", type=int, nargs="?", default=0, help="port on loopback; 0 (the default) takes a free one"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        help="workers with embedded engines behind the endpoint 'comfy'; without them its workers do not run",
    )
    return parser.parse_args()


async def _run(port: int, workers: int) -> None:
    """Serve the account and this number of workers until SIGTERM, and print the account's URL and key.

    Raises CannotListen, and StartupError when a worker does not start.
    """
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with AsyncExitStack() as stack:
        vast = None
        if workers:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vast-account-")))
            commands = [
                ["serve", "--platform", "vast", "--comfyui", "embedded", "--port", "0", "--state", str(folder / str(n))]
                for n in range(1, workers + 1)
            ]
            members = await stack.enter_async_context(start_fleet(commands, environment(), folder))
            await members.wait_until_ready(READY_S)
            vast = members.vast
        account = await stack.enter_async_context(serve(port=port, vast=vast))
        sys.stdout.write(f"server url  {account.url}\napi key     {account.api_key}\n")
        sys.stdout.flush()
        await stopped.wait()


if __name__ == "__main__":
    arguments = _arguments()
    with suppress(KeyboardInterrupt):
        try:
            asyncio.run(_run(arguments.port, arguments.workers))
        except (CannotListen, StartupError) as error:
            sys.exit(str(error))
