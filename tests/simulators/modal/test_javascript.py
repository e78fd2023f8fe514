"""Modal's npm client calls the deployed app: results, errors, and spawned calls."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path

from tests.npm import MODULES, needs_npm
from tests.simulators.modal.workspace import workspace

PROGRAM = """
import { ModalClient } from "modal";

const client = new ModalClient();
const cls = await client.cls.fromName("comfy-worker", "ComfyUI");
const app = await cls.instance();
const picture = await app.method("generate").remote([], { template: "smoke-resize", width: 64, height: 32 });
const call = await app.method("generate").spawn([], { template: "smoke-resize", width: 32, height: 32 });
const spawned = await call.get({ timeoutMs: 50000 });
let error = "";
try {
  await app.method("run_handler").remote([], { name: "nope" });
} catch (raised) {
  error = `${raised.name}: ${raised.message}`;
}
console.log(JSON.stringify([picture.status, picture.outputs[0].width, spawned.status, error]));
client.close();
"""


@needs_npm("modal")
async def test_the_npm_client_gets_results_and_errors(tmp_path: Path) -> None:
    """Keyword arguments, results and errors pass between JavaScript and the app's Python."""
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "node_modules").symlink_to(MODULES)
    (tmp_path / "js" / "call.mjs").write_text(PROGRAM)
    async with workspace(tmp_path / "modal") as space:
        environ = {**space.environ, **space.modal.client_environ}
        command = ["node", "call.mjs"]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=tmp_path / "js", env=environ, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr + space.log
        picture, width, spawned, error = json.loads(done.stdout)
        assert (picture, width, spawned) == ("success", 64, "success")
        assert "RemoteError" in error
        assert "not_found: this worker has no handlers" in error
