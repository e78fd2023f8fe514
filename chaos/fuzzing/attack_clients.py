"""Attacking clients of the public port: unsigned bodies of every kind, and requests that never end."""

from __future__ import annotations

import asyncio
import base64
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

KIB, MIB = 1024, 1024 * 1024
PATHS = (
    *("/generate/sync", "/generate/sync", "/generate", "/generate/stream", "/result", "/cancel", "/events", "/deliver"),
    *("/session/create", "/session/health", "/pyworker/update", "/nowhere"),
)
SIZES = (1, 100, 5 * KIB, 60 * KIB, 70 * KIB, 300 * KIB, MIB - 10, 3 * MIB)
UNFINISHED_S = 4.0
CHUNKED_SHARE, COMPRESSED_SHARE = 0.3, 0.5
AT_ONCE = 120
RESPONSE_S = 60.0


def _objects(size: int) -> bytes:
    """Return a list of empty objects."""
    return b'{"a":[' + b"{}," * (size // 3) + b"0]}"


def _nested(size: int) -> bytes:
    """Return opening brackets that are never closed."""
    return b"[" * size


def _objects_nested(size: int) -> bytes:
    """Return nested objects that are never closed."""
    return b'{"a":' * (size // 5)


def _text(size: int) -> bytes:
    """Return one long string."""
    return b'{"a":"' + b"x" * size + b'"}'


def _numbers(size: int) -> bytes:
    """Return a signed request without a signature, with a long list of numbers."""
    return b'{"payload":[' + b"1," * (size // 2) + b'0],"auth_data":{}}'


def _forged(size: int) -> bytes:
    """Return a request with a wrong signature."""
    auth = b'{"url":"http://x","signature":"AAAA","request_idx":1,"reqnum":1,"cost":1,"endpoint":"x"}'
    return b'{"auth_data":' + auth + b',"payload":{"a":"' + b"x" * size + b'"}}'


def _unsigned_lookalike(size: int) -> bytes:
    """Return JSON that contains the words of a signed request at wrong positions."""
    return b'{"a":["auth_data",' + b'{"auth_data":{}},' * (size // 17) + b'"auth_data"],"x":"\\"auth_data\\":'


def _escapes(size: int) -> bytes:
    """Return a key of escape sequences."""
    return b'{"' + b"\\u0061" * (size // 6) + b'":"' + b"\\\\" * 9 + b'"}'


def _noise(size: int) -> bytes:
    """Return random bytes."""
    return Random(size).randbytes(size)


BODY_MAKERS: Sequence[Callable[[int], bytes]] = (
    *(_objects, _nested, _objects_nested, _text, _numbers, _forged, _unsigned_lookalike, _escapes, _noise),
)


def _gzipped(body: bytes) -> bytes:
    """Return the body compressed with gzip."""
    compressor = zlib.compressobj(9, wbits=31)
    return compressor.compress(body) + compressor.flush()


BOMB_CONTENT = _objects(20 * MIB)
BOMBS = {
    "gzip": _gzipped(BOMB_CONTENT),
    "deflate": zlib.compress(BOMB_CONTENT, 9),
    "br": base64.b64decode(
        "y///PwA8DnBzPHBVS1ujsNTaDPsiLNaDO8rF4dcY9qwLAJjIkSeYWcLfgyUAYisAQiQAAiAAAiD2AiB+C2Ls/R+58///DwCPA9wcD1zV0tYo"
        "LLU2w74Ii/XgjnJx+DWGPesCIAACIAACIAACIAACIAACIAACIA4LQPf+Lw0AgAB4HODmeOCqlrZGYam1GfZFWKwHd5SLw68x7FkXAAEQfdEV"
        "MAEQAAEQAAEQAAEQAKXJYQH0vf8B"
    ),
    "zstd": zlib.decompress(
        base64.b64decode(
            "eNrT2Kr/tyGDncGBsYeBwaNaKVHJKrq6VoeR4cv/Z+84XBgYGBgZ/v5/xgdnWjIwjTJHmaPMUeYoc5Q5BJmWDAw6wCrOILYWANsAmR4="
        )
    ),
}
"""20 MiB of empty objects, compressed, by encoding."""
NO_ENCODING = ("",) * 8
COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {"gzip": _gzipped, "deflate": zlib.compress}
PARTIAL_REQUESTS = (
    b"",
    b"P",
    b"POST /generate/sync HTTP/1.1\r\nHost: x\r\nX-A: ",
    b"POST /generate/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
    b'POST /generate/sync HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n',
)


@dataclass(slots=True)
class AttackClients:
    """Clients that attack one port of this machine.

    `statuses` counts the statuses of responses. `closed` counts the half-open connections that the worker closed.
    """

    port: int
    seed: int
    statuses: Counter[int] = field(default_factory=Counter)
    closed: int = 0

    async def half_open(self, count: int, until: asyncio.Event) -> None:
        """Open connections that never send a whole request. One that the worker closes is not opened again."""
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(self._open_partial(PARTIAL_REQUESTS[number % len(PARTIAL_REQUESTS)], until))

    async def bodies(self, count: int) -> None:
        """Send this number of bodies, a third of which never end."""
        limit = asyncio.Semaphore(AT_ONCE)
        random = Random(self.seed)
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                await limit.acquire()
                headers, body, is_unfinished = await asyncio.to_thread(_request, random, number)
                task = group.create_task(self._send(headers, body, is_unfinished=is_unfinished))
                if not is_unfinished:  # an unfinished request does not count towards the limit
                    task.add_done_callback(lambda _: limit.release())
                else:
                    limit.release()

    async def _open_partial(self, partial_request: bytes, until: asyncio.Event) -> None:
        """Send a part of a request and wait until the worker closes the connection or the attack ends."""
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(partial_request)
            waiting: set[asyncio.Future[Any]] = {
                asyncio.ensure_future(reader.read(1)),
                asyncio.ensure_future(until.wait()),
            }
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            self.closed += not until.is_set()
            for task in waiting:
                task.cancel()
            await asyncio.gather(*done, return_exceptions=True)
            writer.close()

    async def _send(self, headers: bytes, body: bytes, *, is_unfinished: bool) -> None:
        """Send one request and count the status of its response, or 0 without one."""
        status = 0
        with suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ValueError, IndexError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                async with asyncio.timeout(UNFINISHED_S if is_unfinished else RESPONSE_S):
                    writer.write(headers)
                    for start in range(0, len(body), 256 * KIB):
                        writer.write(body[start : start + 256 * KIB])
                        await writer.drain()
                    status = int((await reader.readline()).split()[1])
            finally:
                writer.close()
        self.statuses[status] += 1


def _request(random: Random, number: int) -> tuple[bytes, bytes, bool]:
    """Return headers, body, and whether the end of the body is never sent."""
    is_unfinished = not number % 3
    encoding = random.choice((*NO_ENCODING, *BOMBS))
    body = random.choice(BODY_MAKERS)(random.choice(SIZES))
    if encoding:
        body = (
            COMPRESSORS[encoding](body)
            if encoding in COMPRESSORS and random.random() < COMPRESSED_SHARE
            else BOMBS[encoding]
        )
    lines = [f"POST {random.choice(PATHS)} HTTP/1.1", "Host: x", "Content-Type: application/json"]
    lines += [f"Content-Encoding: {encoding}"] if encoding else []
    if random.random() < CHUNKED_SHARE:
        lines.append("Transfer-Encoding: chunked")
        body = b"%x\r\n%b\r\n" % (len(body), body) + (b"" if is_unfinished else b"0\r\n\r\n")
    else:
        lines.append(f"Content-Length: {len(body) + (100 if is_unfinished else 0)}")
    return "\r\n".join([*lines, "", ""]).encode(), body, is_unfinished
