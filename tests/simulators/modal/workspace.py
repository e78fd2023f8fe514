"""A local Modal workspace for tests, with apps that the real `modal deploy` has deployed, and callers in processes."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.cli.hosting.environment import without_settings
from worker.simulators.modal import ContainerOptions, LocalModal, ModalAssumptions, serve
from worker.simulators.modal.local_app import SHIPPED_APP, deploy, worker_environ

LIMIT_S = 60
SECRETS = {"WORKER_TOKENS": "me=a-token-of-the-operator"}
COLORS = itertools.count(1)


def fast() -> dict[str, Any]:
    """Return a workflow that saves an image. Each has another color, so that ComfyUI's cache has no result of it."""
    inputs = {"width": 32, "height": 16, "batch_size": 1, "color": next(COLORS)}
    save = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "image"}}
    return {"1": {"class_type": "EmptyImage", "inputs": inputs}, "2": save}


def slow() -> dict[str, Any]:
    """Return a workflow that takes as many seconds as the fault `slow@ImageInvert` says."""
    workflow = fast() | {"3": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}}}
    workflow["2"]["inputs"]["images"] = ["3", 0]
    return workflow


@dataclass(frozen=True)
class Workspace:
    """A workspace with one deployed app. `printed` is the output of `modal deploy`."""

    modal: LocalModal
    folder: Path
    app: Path
    environ: Mapping[str, str]
    printed: str = ""

    async def deploy(self, app: Path | None = None) -> str:
        """Deploy an app, by default the same one again."""
        return await deploy(self.modal, app or self.app, self.environ)

    async def call(self, code: str, name: str = "comfy-worker") -> Any:
        """Run code with Modal's own client in a process. `C` is the class of an app. Return its value `result`."""
        lines = f"import json, modal, sys, time\nC = modal.Cls.from_name('{name}', 'ComfyUI')\n"
        program = f"{lines}given = json.load(sys.stdin)\n{code}\nprint(json.dumps(result))"
        return await asyncio.to_thread(self._run, program)

    def _run(self, program: str) -> Any:
        environ = {**self.environ, **self.modal.client_environ}
        given = json.dumps({"fast": fast(), "slow": slow()})
        command = [sys.executable, "-c", program]
        done = subprocess.run(
            command, input=given, env=environ, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def url(self, method: str) -> str:
        """Return the URL of a web function of the class."""
        [function] = [entry for entry in self.modal.state.functions.values() if entry.tag == "ComfyUI.*"]
        return function.current.method_definitions[method].web_url

    @property
    def log(self) -> str:
        """The logs of all containers, the oldest first."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("ta-*/log")))

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait for a condition. Raises AssertionError with the logs when it does not come true."""
        for _ in range(LIMIT_S * 20):
            if found := condition():
                return found
            await asyncio.sleep(0.05)
        raise AssertionError(f"it did not happen:\n{self.log}")

    def processes(self) -> list[int]:
        """Return the ids of all processes that have this workspace's folder in their environment."""
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if str(self.folder).encode() in path.read_bytes():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return found


@asynccontextmanager
async def workspace(
    folder: Path,
    assumptions: ModalAssumptions | None = None,
    *,
    app: Path = SHIPPED_APP,
    own_network: bool = False,
    secrets: Sequence[str] = (),
    **worker: str,
) -> AsyncIterator[Workspace]:
    """Run a workspace with an app and empty secrets beside the worker's own. `worker` are settings of its workers."""
    environ = {**without_settings(os.environ), "COMFY_WORKER_WEB_SERVER": str(int(own_network))}

    def container(folder: Path) -> dict[str, str]:
        return {**worker_environ(folder, own_network=own_network), **worker}

    async with serve(ContainerOptions(folder, container, own_network), assumptions=assumptions) as modal:
        modal.add_secret("comfy-worker", SECRETS)
        for name in secrets:
            modal.add_secret(name, {})
        yield Workspace(modal, folder, app, environ, await deploy(modal, app, environ))
