"""A real Prometheus on loopback, and promtool."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp

from worker.engine.process.free_port import free_port

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")
TOKEN = "the-metrics-own-token"


async def run(*command: str | Path, stdin: bytes = b"") -> tuple[int, str]:
    """Run a program and return its exit status and its output."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(stdin)
    return process.returncode or 0, output.decode()


@dataclass(frozen=True, slots=True)
class PrometheusServer:
    """A running Prometheus."""

    url: str
    http: aiohttp.ClientSession

    async def query(self, expression: str) -> list[dict]:
        """Return the result of a PromQL expression. It is empty while the server does not respond."""
        try:
            body = await self.get("query", query=expression)
        except aiohttp.ClientConnectionError:
            return []
        return body["result"] if body else []

    async def get(self, route: str, **parameters: str) -> dict:
        """Return the data of a response of the API, or an empty one while the server starts."""
        async with self.http.get(f"{self.url}/api/v1/{route}", params=parameters) as answer:
            if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
                return {}
            body = await answer.json()
        assert body["status"] == "success", (parameters, body)
        return body["data"]

    async def until(self, expression: str, limit_s: float = 60.0) -> list[dict]:
        """Wait until an expression has a result, and return it."""
        async with asyncio.timeout(limit_s):
            while not (result := await self.query(expression)):
                await asyncio.sleep(0.1)
        return result

    async def scraped(self, *instances: str) -> None:
        """Wait until each of these workers was scraped after this call."""
        now = time.time()
        for instance in instances:
            await self.until(f'timestamp(comfy_worker_info{{instance="{instance}"}}) > {now}')


@asynccontextmanager
async def prometheus(
    folder: Path, targets: Sequence[str], rules: Path | None = None
) -> AsyncIterator[PrometheusServer]:
    """Start a Prometheus with the configuration of docs/metrics.md, which scrapes the targets each second."""
    example = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert example, "docs/metrics.md has no example"
    token = folder / "token"
    token.write_text(TOKEN)
    text = example[1].replace("/etc/prometheus/comfy-worker.token", str(token)).replace("15s", "1s")
    text = text.replace('"127.0.0.1:18288"', ", ".join(f'"{target}"' for target in targets))
    text += f"rule_files: ['{rules}']\nglobal: {{evaluation_interval: 1s}}\n" if rules else ""
    async with started(folder, text, f"--storage.tsdb.path={folder / 'data'}") as server:
        yield server


@asynccontextmanager
async def started(folder: Path, config: str, *options: str, **env: str) -> AsyncIterator[PrometheusServer]:
    """Run a Prometheus with this configuration, and stop it at the end. Its log is in the folder."""
    file = folder / "prometheus.yml"
    file.write_text(config)
    address = f"127.0.0.1:{free_port()}"
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("prometheus", f"--config.file={file}", f"--web.listen-address={address}", *options),
            env={**os.environ, **env},
            stdout=log,
            stderr=log,
        )
    try:
        async with aiohttp.ClientSession() as http:
            yield PrometheusServer(f"http://{address}", http)
    finally:
        process.terminate()
        await process.wait()
