"""What strangers send to the public port: bodies of every kind that nobody has signed, and requests without an end."""

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
HELD_S = 4.0
CHUNKED, PACKED_SHARE = 0.3, 0.5
AT_ONCE = 120
ANSWER_S = 60.0


def _objects(size: int) -> bytes:
    return b'{"a":[' + b"{}," * (size // 3) + b"0]}"


def _nested(size: int) -> bytes:
    return b"[" * size


def _objects_nested(size: int) -> bytes:
    return b'{"a":' * (size // 5)


def _text(size: int) -> bytes:
    return b'{"a":"' + b"x" * size + b'"}'


def _numbers(size: int) -> bytes:
    return b'{"payload":[' + b"1," * (size // 2) + b'0],"auth_data":{}}'


def _forged(size: int) -> bytes:
    auth = b'{"url":"http://x","signature":"AAAA","request_idx":1,"reqnum":1,"cost":1,"endpoint":"x"}'
    return b'{"auth_data":' + auth + b',"payload":{"a":"' + b"x" * size + b'"}}'


def _looks_like_it(size: int) -> bytes:
    return b'{"a":["auth_data",' + b'{"auth_data":{}},' * (size // 17) + b'"auth_data"],"x":"\\"auth_data\\":'


def _escapes(size: int) -> bytes:
    return b'{"' + b"\\u0061" * (size // 6) + b'":"' + b"\\\\" * 9 + b'"}'


def _noise(size: int) -> bytes:
    return Random(size).randbytes(size)


BODIES: Sequence[Callable[[int], bytes]] = (
    *(_objects, _nested, _objects_nested, _text, _numbers, _forged, _looks_like_it, _escapes, _noise),
)


def _gzipped(body: bytes) -> bytes:
    packed = zlib.compressobj(9, wbits=31)
    return packed.compress(body) + packed.flush()


BOMB = _objects(20 * MIB)
BOMBS = {
    "gzip": _gzipped(BOMB),
    "deflate": zlib.compress(BOMB, 9),
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
"""20 MiB of empty objects, compressed."""
PLAIN = ("",) * 8
PACKED: Mapping[str, Callable[[bytes], bytes]] = {"gzip": _gzipped, "deflate": zlib.compress}
HALF = (
    b"",
    b"P",
    b"POST /generate/sync HTTP/1.1\r\nHost: x\r\nX-A: ",
    b"POST /generate/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
    b'POST /generate/sync HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n',
)


@dataclass(slots=True)
class Strangers:
    """Sends to one port of this machine. `answers` are statuses; `cut` counts connections that the worker closed."""

    port: int
    seed: int
    answers: Counter[int] = field(default_factory=Counter)
    cut: int = 0

    async def half_open(self, count: int, until: asyncio.Event) -> None:
        """Open connections that never send a whole request; one that the worker closes is not opened again."""
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(self._half(HALF[number % len(HALF)], until))

    async def bodies(self, count: int) -> None:
        """Send this many bodies, a third of which never end."""
        limit = asyncio.Semaphore(AT_ONCE)
        random = Random(self.seed)
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                await limit.acquire()
                head, body, held = await asyncio.to_thread(_request, random, number)
                task = group.create_task(self._send(head, body, held=held))
                if not held:  # those that are do not keep the others waiting
                    task.add_done_callback(lambda _: limit.release())
                else:
                    limit.release()

    async def _half(self, begin: bytes, until: asyncio.Event) -> None:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(begin)
            waiting: set[asyncio.Future[Any]] = {
                asyncio.ensure_future(reader.read(1)),
                asyncio.ensure_future(until.wait()),
            }
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            self.cut += not until.is_set()
            for task in waiting:
                task.cancel()
            await asyncio.gather(*done, return_exceptions=True)
            writer.close()

    async def _send(self, head: bytes, body: bytes, *, held: bool) -> None:
        status = 0
        with suppress(OSError, asyncio.IncompleteReadError, TimeoutError, ValueError, IndexError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                async with asyncio.timeout(HELD_S if held else ANSWER_S):
                    writer.write(head)
                    for start in range(0, len(body), 256 * KIB):
                        writer.write(body[start : start + 256 * KIB])
                        await writer.drain()
                    status = int((await reader.readline()).split()[1])
            finally:
                writer.close()
        self.answers[status] += 1


def _request(random: Random, number: int) -> tuple[bytes, bytes, bool]:
    """Headers, body, and whether the rest of it never comes."""
    held = not number % 3
    encoding = random.choice((*PLAIN, *BOMBS))
    body = random.choice(BODIES)(random.choice(SIZES))
    if encoding:
        body = PACKED[encoding](body) if encoding in PACKED and random.random() < PACKED_SHARE else BOMBS[encoding]
    lines = [f"POST {random.choice(PATHS)} HTTP/1.1", "Host: x", "Content-Type: application/json"]
    lines += [f"Content-Encoding: {encoding}"] if encoding else []
    if random.random() < CHUNKED:
        lines.append("Transfer-Encoding: chunked")
        body = b"%x\r\n%b\r\n" % (len(body), body) + (b"" if held else b"0\r\n\r\n")
    else:
        lines.append(f"Content-Length: {len(body) + (100 if held else 0)}")
    return "\r\n".join([*lines, "", ""]).encode(), body, held
