"""The npm package in a real browser, on a page of another origin than the worker's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.api.edge.test_chromium import chromium, pages
from tests.clients.typescript.conftest import TOOLS, NpmProject
from tests.conftest import worker
from tests.engines import EngineHandle
from tests.workflows import sampling, slow

pytestmark = [pytest.mark.tools("chromium", *TOOLS), pytest.mark.timeout(240)]

PROGRAM = """<!doctype html><meta charset="utf-8"><script type="module">
const seen = {};
try {
  const { ComfyClient } = await import("/index.js");
  const client = new ComfyClient({ baseUrl: WORKER, retryMs: 500 });
  const types = new Set();
  for await (const { type, data } of client.stream({ workflow: WORKFLOW, output_format: "url" })) {
    types.add(type);
    if (type === "result") seen.bytes = (await client.download(data.outputs[0])).length === data.outputs[0].bytes;
  }
  seen.types = [...types];
  const canvas = Object.assign(document.createElement("canvas"), { width: 30, height: 20 });
  canvas.getContext("2d").fillRect(0, 0, 10, 10);
  const image = await new Promise((done) => canvas.toBlob(done));
  const { outputs } = await client.template("resize", { image, width: 15, height: 10 });
  seen.width = outputs[0].width;
  seen.code = await client.template("nope").catch(({ code }) => code);
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 100);
  const job = await client.submit({ workflow: SLOW });
  seen.aborted = await client.wait(job, { signal: controller.signal }).catch(({ name }) => name);
} catch (error) {
  seen.failed = String(error);
}
await fetch("/seen", { method: "POST", body: JSON.stringify(seen) });
</script>"""


def modules(package: NpmProject) -> dict[str, tuple[str, dict[str, str]]]:
    """Return the files of the package as pages."""
    folder = package.folder / "node_modules" / "comfy-worker-client" / "dist" / "esm"
    script = {"Content-Type": "text/javascript"}
    return {path.relative_to(folder).as_posix(): (path.read_text("utf-8"), script) for path in folder.rglob("*.js")}


@pytest.mark.parametrize("allowed", [True, False], ids=["allowed", "not allowed"])
async def test_a_page_runs_jobs(engine: EngineHandle, package: NpmProject, tmp_path: Path, *, allowed: bool) -> None:
    """Streams, downloads, uploads, errors and aborts work if the page's origin is in WORKER_CORS_ORIGINS."""
    async with pages(**modules(package)) as server:
        origin = f"http://localhost:{server.port}"
        async with worker(engine, tmp_path / "state", cors_origins=origin if allowed else "") as client:
            page = PROGRAM
            for name, value in (("WORKER", client.app.url), ("WORKFLOW", sampling()), ("SLOW", slow(2, steps=20))):
                page = page.replace(name, json.dumps(value))
            server.pages["/page"] = (page, {})
            async with chromium(tmp_path / "profile", f"{origin}/page"), asyncio.timeout(60):
                seen = await server.reported
    if not allowed:
        assert "connection failed" in seen["failed"]
        return
    assert set(seen.pop("types")) >= {"accepted", "state", "step", "output", "result"}
    assert seen == {"bytes": True, "width": 15, "code": "unknown_template", "aborted": "AbortError"}
