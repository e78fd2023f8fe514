"""How long the event loop stands still while a large input arrives inside a JSON body.

`python -m bench.bodies` prints it, for the scanner and for a body that is read and decoded in one piece.
"""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson
import uvloop

from bench.finding import Measurement, milliseconds
from bench.spread import Spread
from worker.bodies import BodyLimits, SpooledFile, SpoolFolder, read_json

MIB = 1024 * 1024
CHUNK = 64 * 1024
"""What aiohttp hands over at a time, about."""
TICK_S = 0.001
LONGEST_PAUSE_S = 0.025

Read = Callable[[AsyncIterator[bytes], Path], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of one body: the longest pause of the event loop, and all of it."""

    pause: float
    whole: float


async def bodies(folder: Path, rounds: int, mebibytes: int = 60) -> list[Measurement]:
    """The longest pause with the scanner, and the time it takes in all, against reading in one piece."""
    body = orjson.dumps(
        {"workflow": {}, "inputs": {"a.png": base64.b64encode(os.urandom(mebibytes * MIB * 3 // 4)).decode()}}
    )
    scanned, at_once = [], []
    for _ in range(rounds):
        at_once.append(await _measure(_read_at_once, body, folder))
        scanned.append(await _measure(_read_scanned, body, folder))
    pauses, whole = Spread.of([one.pause for one in scanned]), Spread.of([one.whole for one in scanned])
    in_milliseconds = Spread.of([one.pause * 1000 for one in scanned])
    return [
        Measurement(
            what=f"longest pause of the event loop, {mebibytes} MiB of base64 in a body",
            here=milliseconds(pauses),
            against=f"{milliseconds(Spread.of([one.pause for one in at_once]))} (in one piece)",
            measured=in_milliseconds,
            unit="ms",
            at_most=LONGEST_PAUSE_S * 1000,
        ),
        Measurement(
            what=f"{mebibytes} MiB of base64 in a body, until it is decoded",
            here=milliseconds(whole),
            against=f"{milliseconds(Spread.of([one.whole for one in at_once]))} (in one piece)",
            measured=Spread.ratio([one.whole for one in scanned], [one.whole for one in at_once]),
        ),
    ]


async def _measure(read: Read, body: bytes, folder: Path) -> Measured:
    gaps: list[float] = []
    ticking = asyncio.create_task(_ticking(gaps))
    await asyncio.sleep(20 * TICK_S)
    gaps.clear()
    started = time.perf_counter()
    await read(_arriving(body), folder)
    whole = time.perf_counter() - started
    await asyncio.sleep(2 * TICK_S)
    ticking.cancel()
    with suppress(asyncio.CancelledError):
        await ticking
    return Measured(max(gaps) - TICK_S, whole)


async def _ticking(gaps: list[float]) -> None:
    """Collect the seconds between two turns of a task that wants one every millisecond."""
    last = time.perf_counter()
    while True:
        await asyncio.sleep(TICK_S)
        now = time.perf_counter()
        gaps.append(now - last)
        last = now


async def _arriving(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), CHUNK):
        await asyncio.sleep(0)
        yield body[start : start + CHUNK]


async def _read_at_once(chunks: AsyncIterator[bytes], folder: Path) -> int:
    """As aiohttp's `read()` and a decoder of the standard library do it."""
    received = bytearray()
    async for chunk in chunks:
        received += chunk
    value = orjson.loads(bytes(received))
    data: bytes = base64.b64decode(value["inputs"]["a.png"], validate=True)
    return len(data)


async def _read_scanned(chunks: AsyncIterator[bytes], folder: Path) -> int:
    async with SpoolFolder(folder) as spool:
        body = await read_json(chunks, spool, BodyLimits(total=100 * MIB))
        decoded: SpooledFile = await body.value["inputs"]["a.png"].decode_base64()
        return decoded.size


def main() -> None:
    state = Path(".state")
    state.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=state) as folder:
        findings = uvloop.run(bodies(Path(folder).resolve(), int(sys.argv[1]) if len(sys.argv) > 1 else 9))
    for finding in findings:
        print(finding.what, finding.here, finding.against, finding.measured.show(finding.unit), sep="  ")


if __name__ == "__main__":
    main()
