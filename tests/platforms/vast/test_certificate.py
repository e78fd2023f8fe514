"""The worker's certificate: signed by a simulated signer, checked, kept and renewed."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from worker.errors import StartupError
from worker.platforms.vast.certificate import CertificatePair
from worker.platforms.vast.settings import VastSettings
from worker.platforms.vast.signing import ensure_certificate, now, wait_until_renewal
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast, RouterFaultConfig


@pytest.fixture
async def vast() -> AsyncIterator[LocalVast]:
    async with vast_router.serve() as vast:
        yield vast


@pytest.fixture
def pair(tmp_path: Path) -> CertificatePair:
    """Return a pair whose paths are links into an empty state folder, as in the image."""
    links = CertificatePair(tmp_path / "etc" / "instance.crt", tmp_path / "etc" / "instance.key")
    (tmp_path / "etc").mkdir()
    for link in (links.certificate, links.key):
        link.symlink_to(tmp_path / "state" / "tls" / link.name)
    return links


async def signed(pair: CertificatePair, vast: LocalVast, timeout_s: float = 60.0) -> object:
    settings = dataclasses.replace(VastSettings.from_env(await vast.worker_env(7)), sign_timeout_s=timeout_s)
    async with aiohttp.ClientSession() as session:
        return await ensure_certificate(pair, settings, session)


async def reached(pair: CertificatePair, vast: LocalVast) -> None:
    """Check that a client which trusts Vast's root reaches a server with this pair."""
    mine = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    mine.load_cert_chain(pair.certificate, pair.key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=mine)
    async with aiohttp.ClientSession() as http, http.get(f"{vast.url}/root.pem") as answer:
        theirs = ssl.create_default_context(cadata=await answer.text())
    try:
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=theirs)
        writer.close()
    finally:
        server.close()


async def test_clients_trust_what_was_signed(vast: LocalVast, pair: CertificatePair) -> None:
    """A signed pair is trusted by clients, is written through links, and has a private key file."""
    await signed(pair, vast)
    await reached(pair, vast)
    assert vast.certificate_requests == [7]
    folder = pair.key.resolve().parent
    assert sorted(path.name for path in folder.iterdir()) == ["instance.crt", "instance.key"]
    assert pair.key.is_symlink()
    assert pair.key.stat().st_mode & 0o777 == 0o600


async def test_a_good_pair_is_kept_over_restarts(vast: LocalVast, pair: CertificatePair) -> None:
    """A second start keeps a valid pair without a request."""
    await signed(pair, vast)
    before = pair.certificate.read_bytes()
    await signed(pair, vast)
    assert (len(vast.certificate_requests), pair.certificate.read_bytes()) == (1, before)


@pytest.mark.parametrize("spoil", ["key", "certificate", "other", "address"])
async def test_an_unusable_pair_is_replaced(vast: LocalVast, pair: CertificatePair, tmp_path: Path, spoil: str) -> None:
    """A pair that is incomplete, invalid, or for another key or address is replaced."""
    vast.configure(RouterFaultConfig(sign_host="203.0.113.9" if spoil == "address" else "127.0.0.1"))
    if spoil == "address":
        with pytest.raises(StartupError):
            await signed(pair, vast, 0.5)
    else:
        await signed(pair, vast)
    if spoil == "key":
        pair.key.resolve().unlink()
    elif spoil == "certificate":
        pair.certificate.write_text("<html>")
    elif spoil == "other":
        other = CertificatePair(tmp_path / "a", tmp_path / "b")
        await signed(other, vast)
        pair.key.write_bytes(other.key.read_bytes())
    asked = len(vast.certificate_requests)
    vast.configure(RouterFaultConfig())
    await signed(pair, vast)
    assert len(vast.certificate_requests) == asked + 1
    await reached(pair, vast)


async def test_a_signer_that_fails_is_asked_again(vast: LocalVast, pair: CertificatePair) -> None:
    """The request is retried after two failures."""
    vast.configure(RouterFaultConfig(sign_failures=2))
    await signed(pair, vast)
    assert vast.certificate_requests == [7, 7, 7]


@pytest.mark.parametrize(
    ("fault_config", "words"),
    [
        (RouterFaultConfig(sign_status=429), "HTTP 429"),
        (RouterFaultConfig(sign_page=True), "it is not a certificate: '<html>Sign in</html>'"),
        (
            RouterFaultConfig(sign_host="203.0.113.9"),
            r"it names 203\.0\.113\.9 and not 127\.0\.0\.1 \(PUBLIC_IPADDR\)",
        ),
        (RouterFaultConfig(sign_life_s=-3600), "it expired at "),
    ],
)
async def test_an_unusable_certificate_ends_the_start(
    vast: LocalVast, pair: CertificatePair, fault_config: RouterFaultConfig, words: str
) -> None:
    """Without a usable certificate in time, the start fails with the last reason and writes nothing."""
    vast.configure(fault_config)
    with pytest.raises(StartupError, match=f"no certificate within 0.5 s: .*{words}"):
        await signed(pair, vast, 0.5)
    assert not pair.certificate.exists()


async def test_a_certificate_that_cannot_be_renewed_is_kept(vast: LocalVast, pair: CertificatePair) -> None:
    """A certificate that cannot be renewed is used until its end."""
    vast.configure(RouterFaultConfig(sign_life_s=10_000))  # it began a day before, so little of its life is left
    made = await signed(pair, vast)
    vast.configure(RouterFaultConfig(sign_status=503))
    assert await signed(pair, vast, 0.5) == made
    assert len(vast.certificate_requests) == 2
    vast.configure(RouterFaultConfig())
    assert await signed(pair, vast) != made


async def test_an_unwritable_path_is_an_error_before_any_request(vast: LocalVast, tmp_path: Path) -> None:
    """A path that is not writable is an error with its target and a cure, before any request."""
    link = tmp_path / "instance.crt"
    link.symlink_to("/proc/nowhere/instance.crt")
    with pytest.raises(StartupError, match=r"written to .*instance.crt -> /proc/nowhere/instance.crt .*USE_SSL"):
        await signed(CertificatePair(link, tmp_path / "instance.key"), vast)
    assert vast.certificate_requests == []


async def test_a_renewal_waits_for_running_jobs() -> None:
    """A renewal waits for running jobs."""
    from worker.platforms.vast.certificate import Certificate

    busy = asyncio.Event()
    soon = now() + datetime.timedelta(seconds=0.1)
    made = Certificate(soon - datetime.timedelta(days=2), soon + datetime.timedelta(days=1))
    waiting = asyncio.create_task(wait_until_renewal(made, busy.is_set, 0.02))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    busy.set()
    await asyncio.wait_for(waiting, 2)
