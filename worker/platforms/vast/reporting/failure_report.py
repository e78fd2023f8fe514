"""The report of a worker that cannot serve, for Vast's autoscaler. It works with an incomplete environment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from aiohttp import ClientError, ClientSession, ClientTimeout

from worker.backoff import Backoff
from worker.platforms.vast.settings import AUTOSCALER, PORT

log = logging.getLogger(__name__)

TRIES, BACKOFF = 3, Backoff(2.0, 4.0)
MAX_MESSAGE_CHARS = 2000


def send_failure_report(environ: Mapping[str, str], message: str) -> None:
    """Send one report in the short form of Vast's start script, to the first address of REPORT_ADDR that accepts it.

    Never raises, because the caller is already handling an error.
    """
    body = report_body(environ, message)
    if body is None:
        log.warning("no failure report is sent: without CONTAINER_ID the autoscaler could not tell which worker failed")
        return
    addresses = [text.strip().rstrip("/") for text in (environ.get("REPORT_ADDR") or AUTOSCALER).split(",")]
    asyncio.run(_send([address for address in addresses if address], body))


def report_body(environ: Mapping[str, str], message: str) -> dict[str, object] | None:
    """Return the report's body from the variables that are set, or None if CONTAINER_ID is missing or no number.

    The URL in the body is empty if the public address is unknown.
    """
    container_id = environ.get("CONTAINER_ID", "")
    if not container_id.isdigit():
        return None
    host, public_port = environ.get("PUBLIC_IPADDR"), environ.get(f"VAST_TCP_PORT_{environ.get('WORKER_PORT') or PORT}")
    scheme = "https" if (environ.get("USE_SSL") or "true") == "true" else "http"
    return {
        "id": int(container_id),
        "mtoken": environ.get("MASTER_TOKEN", ""),
        "version": "0",
        "error_msg": message[:MAX_MESSAGE_CHARS],
        "url": f"{scheme}://{host}:{public_port}" if host and public_port else "",
    }


async def _send(addresses: Sequence[str], body: Mapping[str, object]) -> None:
    """Send the report to one address after the other until one accepts it. Retry all of them, at most TRIES times."""
    async with ClientSession(timeout=ClientTimeout(total=10)) as session:
        for failures in range(1, TRIES + 1):
            for address in addresses:
                try:
                    async with session.post(f"{address}/worker_status/", json=body) as response:
                        response.raise_for_status()
                        return
                except (ClientError, TimeoutError, ValueError) as error:
                    log.warning("%s did not accept the report: %s", address, error)
            await asyncio.sleep(BACKOFF.pause(failures) if failures < TRIES else 0)
