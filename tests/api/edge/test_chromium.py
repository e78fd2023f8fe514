"""Requests that a real browser sends for pages of other origins, and outputs that it could run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.conftest import Client
from tests.workflows import picture
from worker.api.services import SAFE_HEADERS

pytestmark = [pytest.mark.tools("chromium"), pytest.mark.timeout(240)]

ATTACK = """<!doctype html><meta charset="utf-8"><iframe name="frame"></iframe><script>
const worker = WORKER, body = JSON.stringify({workflow: WORKFLOW}), seen = {};
const within = (promise) => Promise.race([promise, new Promise((done) => setTimeout(done, 5000, "nothing"))]);
const loaded = (element, source) => within(new Promise((done) => {
  element.onload = () => done("shown"); element.onerror = () => done("refused"); element.src = source;
}));
const unreadable = () => "unreadable";
const read = (path, options) => within(fetch(worker + path, options).then((answer) => answer.text(), unreadable));
addEventListener("load", async () => {
  for (const path of ["/generate", "/generate/sync", "/generate/stream"])
    await read(path, {method: "POST", mode: "no-cors", headers: {"Content-Type": "text/plain"}, body});
  const form = document.createElement("form");
  Object.assign(form, {method: "POST", action: worker + "/generate", enctype: "multipart/form-data", target: "frame"});
  const part = document.createElement("textarea");
  Object.assign(part, {name: "request", value: body});
  form.append(part); document.body.append(form);
  await within(new Promise((done) => { document.querySelector("iframe").onload = done; form.submit(); }));
  seen.image = await loaded(new Image(), worker + OUTPUT);
  seen.capabilities = await read("/capabilities");
  seen.preflight = await read("/generate", {method: "POST", headers: {"Content-Type": "application/json"}, body});
  await fetch("/seen", {method: "POST", body: JSON.stringify(seen)});
});
</script>"""
PAGE = "<!doctype html><title>page</title><p>text</p><script>document.body.append('r' + 'an')</script>"
SVG = "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>document.documentElement.append('r' + 'an')</script></svg>"


@dataclass
class PageServer:
    """Serves pages of an origin of its own, and records what they report."""

    pages: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    port: int = 0
    reported: asyncio.Future[dict[str, Any]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def page(self, request: web.Request) -> web.Response:
        text, headers = self.pages.get(request.path, ("", {}))
        return web.Response(text=text, headers={"Content-Type": "text/html", **headers})

    async def seen(self, request: web.Request) -> web.Response:
        self.reported.set_result(await request.json())
        return web.Response()


@asynccontextmanager
async def pages(**served: tuple[str, dict[str, str]]) -> AsyncIterator[PageServer]:
    server = PageServer({f"/{name}": page for name, page in served.items()})
    app = web.Application()
    app.add_routes([web.post("/seen", server.seen), web.get("/{path:.*}", server.page)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def chromium(profile: Path, url: str, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Return a browser that opens the URL. Every host name resolves to this machine."""
    usual = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
    process = await asyncio.create_subprocess_exec(
        *("chromium", *usual, f"--user-data-dir={profile}", "--host-resolver-rules=MAP * 127.0.0.1", *options, url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def page_content(profile: Path, url: str) -> str:
    """Return the content of a loaded page."""
    async with asyncio.timeout(60), chromium(profile, url, "--dump-dom") as process:
        return (await process.communicate())[0].decode()


async def test_a_page_of_another_origin_can_do_nothing(client: Client, tmp_path: Path) -> None:
    """Text posts, forms, images and preflight requests of another origin are rejected, and no job is created."""
    _, job = await client.post("/generate/sync", {"workflow": picture(), "output_format": "url"})
    output, before = job["image"].removeprefix(client.app.url), client.app.manager.states().total()
    attack = ATTACK.replace("WORKER", json.dumps(client.app.url), 1).replace("OUTPUT", json.dumps(output))
    attack = attack.replace("WORKFLOW", json.dumps(picture()), 1)
    async with pages(attack=(attack, {})) as server:
        url = f"http://evil.test:{server.port}/attack"
        async with chromium(tmp_path / "profile", url, "--remote-debugging-port=0"), asyncio.timeout(100):
            seen = await server.reported
    assert seen == {"image": "refused", "capabilities": "unreadable", "preflight": "unreadable"}
    assert client.app.manager.states().total() == before


async def test_a_rebound_name_can_do_nothing(client: Client, tmp_path: Path) -> None:
    """A page whose DNS name leads to the worker cannot read its responses."""
    port = client.app.url.rpartition(":")[2]
    found = await page_content(tmp_path / "profile", f"http://evil.test:{port}/capabilities")
    assert "host_not_allowed" in found
    assert "node_classes" not in found
    assert "node_classes" in await page_content(tmp_path / "profile", f"http://localhost:{port}/capabilities")


@pytest.mark.parametrize(("content", "kind"), [(PAGE, "text/html"), (SVG, "image/svg+xml")])
async def test_an_output_runs_nothing(tmp_path: Path, content: str, kind: str) -> None:
    """No script in a page or drawing runs with the headers of outputs, even where it is displayed."""
    headers = {"Content-Type": kind}
    async with pages(plain=(content, headers), safe=(content, headers | SAFE_HEADERS)) as server:
        url = f"http://localhost:{server.port}"
        assert "ran" in await page_content(tmp_path / "profile", f"{url}/plain")
        found = await page_content(tmp_path / "profile", f"{url}/safe")
        assert "<script>" in found
        assert "ran" not in found
