"""`python -m worker.simulators.modal`: run a stand-in for a Modal workspace, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

from worker.errors import CannotListen
from worker.simulators.modal.assumptions import ModalAssumptions
from worker.simulators.modal.container import ContainerOptions
from worker.simulators.modal.local_app import worker_environ
from worker.simulators.modal.server import serve


def _arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser("python -m worker.simulators.modal", description=__doc__)
    parser.add_argument(
        "port", type=int, nargs="?", default=0, help="port on loopback; 0 (the default) takes a free one"
    )
    parser.add_argument(
        "--secret", action="append", default=[], metavar="NAME.KEY=VALUE", help="variable of a secret; repeatable"
    )
    parser.add_argument(
        "--http-limit", type=float, default=ModalAssumptions().http_limit_s, help="seconds before a 303"
    )
    parser.add_argument(
        "--own-network", action="store_true", help="containers with an interface eth0, for web_server; needs unshare"
    )
    return parser.parse_args()


def _secrets(texts: list[str]) -> dict[str, dict[str, str]]:
    """Return the variables of each secret. Raises ValueError for a text in another form."""
    secrets: dict[str, dict[str, str]] = {}
    for text in texts:
        path, separator, value = text.partition("=")
        name, dot, key = path.rpartition(".")
        if not (separator and dot and name and key):
            raise ValueError(f"--secret {text}: expected NAME.KEY=VALUE")
        secrets.setdefault(name, {})[key] = value
    return secrets


async def _run(options: argparse.Namespace) -> None:
    """Serve until SIGTERM, and print the variables of Modal's clients. Raises CannotListen and ValueError."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    secrets = _secrets(options.secret)
    with tempfile.TemporaryDirectory(prefix="modal-") as folder:
        environ = partial(worker_environ, own_network=options.own_network)
        containers = ContainerOptions(Path(folder), environ, options.own_network)
        assumptions = ModalAssumptions(http_limit_s=options.http_limit)
        async with serve(containers, options.port, assumptions) as modal:
            for name, variables in secrets.items():
                modal.add_secret(name, variables)
            sys.stdout.writelines(f"export {name}={value}\n" for name, value in modal.client_environ.items())
            sys.stdout.flush()
            await stopped.wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        try:
            asyncio.run(_run(_arguments()))
        except (CannotListen, ValueError) as error:
            sys.exit(str(error))
