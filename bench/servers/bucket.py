"""An S3 bucket in its own process, on moto's server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.servers.processes import running, wait_until_ready
from worker.engine.process.free_port import free_port

NAME, KEY_ID, SECRET = "bench", "bench", "bench-secret"


@asynccontextmanager
async def bucket(folder: Path) -> AsyncIterator[dict[str, str]]:
    """Yield the settings of a worker that delivers into the bucket."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    async with running(command, folder / "moto.log") as started:
        url = f"http://127.0.0.1:{port}"
        await wait_until_ready(f"{url}/moto-api/", started)
        await asyncio.to_thread(_create, url)
        yield {
            "WORKER_S3_BUCKET": NAME,
            "WORKER_S3_ENDPOINT": url,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }


def _create(url: str) -> None:
    """Create the bucket."""
    import boto3

    client = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET, region_name="us-east-1"
    )
    client.create_bucket(Bucket=NAME)
