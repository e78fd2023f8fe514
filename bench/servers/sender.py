"""`python -m bench.servers.sender URL MIB TIMES`: posts jobs with one large file in base64, from its own process."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import sys

import orjson
import uvloop

from bench.prompts import flat_picture
from bench.servers.direct import JobFailedError
from bench.servers.served import open_session

MIB = 1024 * 1024


async def send(url: str, mebibytes: int, times: int) -> None:
    """Post jobs one after the other. `mebibytes` is the size of the base64. Raises JobFailedError."""
    text = base64.b64encode(os.urandom(mebibytes * MIB * 3 // 4)).decode()
    async with open_session() as session:
        for _ in range(times):
            body = io.BytesIO(orjson.dumps({"workflow": flat_picture(), "inputs": {"large.bin": text}}))
            async with session.post(f"{url}/generate/sync", data=body) as answer:
                if answer.status != 200:
                    raise JobFailedError(await answer.text())
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    uvloop.run(send(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
