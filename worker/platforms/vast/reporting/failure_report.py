"""The last word of a worker that won't serve, to Vast's autoscaler; also where half of its environment is missing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from aiohttp import ClientError, ClientSession, ClientTimeout

from worker.backoff import Backoff
from worker.platforms.vast.settings import AUTOSCALER, PORT

log = logging.getLogger(__name__)

TRIES, BACKOFF = 3, Backoff(2.0, 4.0)
LONGEST = 2000


def send_failure_report(environ: Mapping[str, str], message: str) -> None:
    """One report in the short form of Vast's start script, to the first address of REPORT_ADDR that takes it.

    Never raises: the worker has something worse to say.
    """
    body = report(environ, message)
    if body is None:
        log.warning("the autoscaler is not told: without CONTAINER_ID it would not know of whom")
        return
    addresses = [one.strip().rstrip("/") for one in (environ.get("REPORT_ADDR") or AUTOSCALER).split(",")]
    asyncio.run(_send([address for address in addresses if address], body))


def report(environ: Mapping[str, str], message: str) -> dict[str, object] | None:
    """Its body, with what is known; None where nobody could tell whose it is."""
    number = environ.get("CONTAINER_ID", "")
    if not number.isdigit():
        return None
    host, public = environ.get("PUBLIC_IPADDR"), environ.get(f"VAST_TCP_PORT_{environ.get('WORKER_PORT') or PORT}")
    scheme = "https" if (environ.get("USE_SSL") or "true") == "true" else "http"
    return {
        "id": int(number),
        "mtoken": environ.get("MASTER_TOKEN", ""),
        "version": "0",
        "error_msg": message[:LONGEST],
        "url": f"{scheme}://{host}:{public}" if host and public else "",
    }


async def _send(addresses: Sequence[str], body: Mapping[str, object]) -> None:
    async with ClientSession(timeout=ClientTimeout(total=10)) as session:
        for failures in range(1, TRIES + 1):
            for address in addresses:
                try:
                    async with session.post(f"{address}/worker_status/", json=body) as response:
                        response.raise_for_status()
                        return
                except (ClientError, TimeoutError, ValueError) as error:
                    log.warning("%s did not take the report: %s", address, error)
            await asyncio.sleep(BACKOFF.pause(failures) if failures < TRIES else 0)
