"""How a worker comes to its certificate: a good one is kept, else Vast's console signs a new one."""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Callable

import aiohttp

from worker.backoff import Backoff
from worker.errors import StartupError
from worker.platforms.vast.certificate import (
    Certificate,
    CertificatePair,
    UnusableCertificate,
    check_certificate,
    new_request,
)
from worker.platforms.vast.settings import VastSettings

log = logging.getLogger(__name__)

RETRY_PAUSES = Backoff(1.0, 15.0)
TRY_S = 15.0
LARGEST = 256 * 1024
AGAIN_S = 3600.0
"""How long a worker that kept an old certificate, because nobody signed a new one, serves before it tries again."""
LATEST = datetime.timedelta(minutes=10)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


async def ensure_certificate(
    pair: CertificatePair, settings: VastSettings, session: aiohttp.ClientSession
) -> Certificate:
    """The pair's, made if there is none that is good. Raises StartupError."""
    try:
        old: Certificate | None = await asyncio.to_thread(pair.load, settings.public_ip, now())
    except UnusableCertificate as why:
        old = None
        log.info("a new certificate is needed: %s", why)
    if old is not None and now() < old.renew_at:
        log.info("the certificate is kept: good until %s", _day(old.ends))
        return old
    try:
        await asyncio.to_thread(pair.check_writable)
        return await _new(pair, settings, session)
    except StartupError as error:
        if old is None:
            raise
        log.error("the old certificate is used, good until %s: %s", _day(old.ends), error)
        return old


async def _new(pair: CertificatePair, settings: VastSettings, session: aiohttp.ClientSession) -> Certificate:
    key, request = await asyncio.to_thread(new_request)
    url = f"{settings.sign_addr.rstrip('/')}/api/v0/sign_cert/?instance_id={settings.container_id}"
    why = f"no answer from {url}"
    try:
        async with asyncio.timeout(settings.sign_timeout_s):
            for pause in RETRY_PAUSES.pauses():
                try:
                    signed = await _ask(session, url, request)
                    made = check_certificate(signed, key, settings.public_ip, now())
                except (UnusableCertificate, aiohttp.ClientError, TimeoutError) as error:
                    why = f"{url}: {error or type(error).__name__}"
                    log.warning("no certificate from %s; asking again in %.1f s", why, pause)
                    await asyncio.sleep(pause)
                    continue
                await asyncio.to_thread(pair.write, signed, key)
                log.info("a new certificate, good until %s", _day(made.ends))
                return made
    except TimeoutError:
        pass
    raise StartupError(f"no certificate within {settings.sign_timeout_s:g} s: {why}")


async def _ask(session: aiohttp.ClientSession, url: str, request: bytes) -> bytes:
    """Send the certificate request to the console, which needs no key, and return the body of its response.

    Raises UnusableCertificate when the status is not 200.
    """
    headers = {"Content-Type": "application/octet-stream"}
    limit = aiohttp.ClientTimeout(total=TRY_S)
    async with session.post(url, data=request, headers=headers, timeout=limit, allow_redirects=False) as response:
        body = await response.content.read(LARGEST)
        if response.status != 200:
            raise UnusableCertificate(f"HTTP {response.status} {body[:200].decode(errors='replace')}".strip())
        return body


async def wait_until_renewal(made: Certificate, quiet: Callable[[], bool], look_s: float = 1.0) -> None:
    """Return when the certificate should be made anew: from `renew_at` on, as soon as nothing runs.

    The SDK reads it once, so that only a new process can use another. One that was old at the start is not tried for
    again at once: nobody signed a new one then.
    """
    old = made.renew_at <= now()
    at = now() + datetime.timedelta(seconds=AGAIN_S) if old else made.renew_at
    await asyncio.sleep(max(0.0, (at - now()).total_seconds()))
    while not quiet() and now() < made.ends - LATEST:  # noqa: ASYNC110 - nobody tells when the last job has ended
        await asyncio.sleep(look_s)
    log.warning("the certificate is good until %s: it is time for a new one", _day(made.ends))


def _day(at: datetime.datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
