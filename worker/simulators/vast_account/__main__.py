"""`python -m worker.simulators.vast_account [PORT]`: serve an empty account for experiments until Ctrl-C."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

from worker.errors import CannotListen
from worker.simulators.vast_account.server import serve


async def _serve(port: int) -> None:
    async with serve(port=port) as account:
        sys.stdout.write(f"server url  {account.url}\napi key     {account.api_key}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        try:
            asyncio.run(_serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
        except CannotListen as error:
            sys.exit(str(error))
