"""Gets the worker's certificate: a valid one is kept, otherwise Vast's console signs a new one."""

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
"""Seconds for one request to the console."""
MAX_CERTIFICATE = 256 * 1024
"""Largest response in bytes that is read."""
AGAIN_S = 3600.0
"""Seconds until a worker that could not renew its certificate tries again."""
LATEST = datetime.timedelta(minutes=10)
"""A renewal waits for running jobs until this long before the certificate expires."""


def now() -> datetime.datetime:
    """Return the present time in UTC."""
    return datetime.datetime.now(datetime.UTC)


async def ensure_certificate(
    pair: CertificatePair, settings: VastSettings, session: aiohttp.ClientSession
) -> Certificate:
    """Return the certificate in `pair`, after replacing it when it is unusable or due for renewal.

    Raises StartupError when there is no usable certificate.
    """
    try:
        old: Certificate | None = await asyncio.to_thread(pair.load, settings.public_ip, now())
    except UnusableCertificate as reason:
        old = None
        log.info("a new certificate is needed: %s", reason)
    if old is not None and now() < old.renew_at:
        log.info("the certificate is kept: valid until %s", _minute(old.ends))
        return old
    try:
        await asyncio.to_thread(pair.check_writable)
        return await _new_certificate(pair, settings, session)
    except StartupError as error:
        if old is None:
            raise
        log.error("the old certificate is kept, valid until %s: %s", _minute(old.ends), error)
        return old


async def _new_certificate(
    pair: CertificatePair, settings: VastSettings, session: aiohttp.ClientSession
) -> Certificate:
    """Create a key, request a certificate for it, write both to `pair`, and return the certificate's validity.

    Retries for up to `sign_timeout_s` seconds. Raises StartupError when there is no usable certificate by then.
    """
    key, request = await asyncio.to_thread(new_request)
    url = f"{settings.sign_addr.rstrip('/')}/api/v0/sign_cert/?instance_id={settings.container_id}"
    reason = f"no response from {url}"
    try:
        async with asyncio.timeout(settings.sign_timeout_s):
            for pause_s in RETRY_PAUSES.pauses():
                try:
                    signed = await _request_signature(session, url, request)
                    certificate = check_certificate(signed, key, settings.public_ip, now())
                except (UnusableCertificate, aiohttp.ClientError, TimeoutError) as error:
                    reason = f"{url}: {error or type(error).__name__}"
                    log.warning("no certificate from %s; retrying in %.1f s", reason, pause_s)
                    await asyncio.sleep(pause_s)
                    continue
                await asyncio.to_thread(pair.write, signed, key)
                log.info("a new certificate, valid until %s", _minute(certificate.ends))
                return certificate
    except TimeoutError:
        pass  # the reason of the last failure is reported instead
    raise StartupError(f"no certificate within {settings.sign_timeout_s:g} s: {reason}")


async def _request_signature(session: aiohttp.ClientSession, url: str, request: bytes) -> bytes:
    """Send the certificate request to the console, which needs no key, and return the body of its response.

    Raises UnusableCertificate when the status is not 200.
    """
    headers = {"Content-Type": "application/octet-stream"}
    limit = aiohttp.ClientTimeout(total=TRY_S)
    async with session.post(url, data=request, headers=headers, timeout=limit, allow_redirects=False) as response:
        body = await response.content.read(MAX_CERTIFICATE)
        if response.status != 200:
            raise UnusableCertificate(f"HTTP {response.status} {body[:200].decode(errors='replace')}".strip())
        return body


async def wait_until_renewal(certificate: Certificate, is_idle: Callable[[], bool], poll_s: float = 1.0) -> None:
    """Wait until the certificate should be renewed: from `renew_at` on, as soon as no job runs.

    A renewal needs a restart, because the SDK reads the certificate only once. If the certificate was due at the start,
    renewing it has just failed, so the next try is an hour later. Shortly before the certificate expires, running jobs
    are not waited for. `is_idle` returns whether no job runs, and is called every `poll_s` seconds.
    """
    overdue = certificate.renew_at <= now()
    renew_at = now() + datetime.timedelta(seconds=AGAIN_S) if overdue else certificate.renew_at
    await asyncio.sleep(max(0.0, (renew_at - now()).total_seconds()))
    while not is_idle() and now() < certificate.ends - LATEST:  # noqa: ASYNC110 - there is no event for the last job's end
        await asyncio.sleep(poll_s)
    log.warning("the worker restarts to renew its certificate, which is valid until %s", _minute(certificate.ends))


def _minute(at: datetime.datetime) -> str:
    """Return a time as text, to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC"
