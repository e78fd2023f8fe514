"""The whole worker behind Vast's SDK, as `comfy-worker serve --platform vast` runs it. A child process of the tests."""

import asyncio
import dataclasses
import logging
import os
import signal
import sys
from contextlib import suppress

from worker.app import build
from worker.errors import StartupError
from worker.platforms.vast import VastSettings, serve
from worker.settings import Settings


async def main() -> None:
    vast = VastSettings.from_env(os.environ)
    settings = dataclasses.replace(Settings.from_env(platform="vast", port=0), public_url=vast.public_url)
    logging.basicConfig(level=settings.log_level.upper(), stream=sys.stderr)
    async with build(settings) as app:
        serving = asyncio.create_task(serve(app, vast))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
        with suppress(asyncio.CancelledError):
            await serving


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except StartupError as error:
        sys.exit(str(error))
