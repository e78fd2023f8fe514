"""A server with few file descriptors, and one with TLS, in processes of their own."""

from __future__ import annotations

import asyncio
import datetime
import resource
import ssl
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.connections.conftest import Open, served, status

GET = b"GET /prove HTTP/1.1\r\nHost: x\r\n\r\n"
LONG_S = "1000"


def open_files(process: asyncio.subprocess.Process) -> int:
    """Return the number of open files of a process."""
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


async def test_the_last_descriptors_are_not_for_connections(opened: Open) -> None:
    """With few descriptors, unauthenticated connections are evicted.

    The worker can still open files, and a client gets its response.
    """
    async with served(LONG_S) as (process, port):
        used = open_files(process)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used + 40, used + 40))
        strangers = [await opened(port) for _ in range(60)]
        for _ in range(5):
            client = await opened(port, b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await status(client) == 200
        assert await status(strangers[0]) == 0


async def test_a_crowd_that_waits_to_be_accepted_holds_nobody_up(opened: Open) -> None:
    """A client behind 600 waiting connections gets its response in time."""
    async with served(LONG_S) as (process, port):
        used = open_files(process)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (used + 40, used + 40))
        crowd = [await opened(port) for _ in range(600)]
        assert len(crowd) == 600
        async with asyncio.timeout(60):  # 600 pauses of 50 ms are 30 s
            assert await status(await opened(port, GET)) == 200


async def test_too_few_descriptors_are_no_end(opened: Open) -> None:
    """Without free descriptors connections are rejected, and accepted again once there are some."""
    async with served(LONG_S) as (process, port):
        before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        used = open_files(process)
        for limit in (used, used + 3):
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
            for _ in range(5):
                await opened(port, GET)
            await asyncio.sleep(0.3)
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
            client = await opened(port, GET)
            assert await status(client) == 200


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """Return a file with a key and a self-signed certificate."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    day = datetime.timedelta(days=1)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "server.pem"
    path.write_bytes(private + built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


async def test_half_a_handshake_is_given_up(opened: Open, pem: Path) -> None:
    """A TLS connection without a complete handshake is closed after the limit."""
    async with served("0.5", str(pem)) as (process, port):
        before = open_files(process)
        strangers = [await opened(port, sent) for sent in (b"", b"\x16\x03\x01\x02\x00\x01", GET) for _ in range(3)]
        assert [await status(stranger) for stranger in strangers] == [0] * 9
        assert open_files(process) <= before + 1
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        url = f"https://127.0.0.1:{port}/prove"
        async with aiohttp.ClientSession() as http, http.get(url, ssl=trusting) as answer:
            assert await answer.text() == "known"
