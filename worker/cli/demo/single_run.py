"""One picture through the client and the platform that `comfy-worker demo --on` names."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from worker.cli.demo.demo_report import Steps
from worker.cli.hosting.environment import without_settings
from worker.cli.output.failure import Failure
from worker.cli.output.saving import save
from worker.errors import StartupError
from worker.settings import environment
from worker.subcommand import worker_command
from worker.workflow.templates.fill import fill
from worker.workflow.templates.library import SHIPPED, read_library

TEMPLATE = "smoke-resize"
WAIT_MS = 120_000
"""Milliseconds that the call of the demo waits for its result."""


@dataclass(frozen=True, slots=True)
class SingleRun:
    """The picture of a run, and the client and the platform that made it."""

    platform: str
    client: str
    paths: list[Path]

    def as_dict(self) -> dict[str, Any]:
        """Return the run for `--json`."""
        paths = [str(path) for path in self.paths]
        return {"status": "success", "platform": self.platform, "client": self.client, "outputs": paths}


RunOnce = Callable[[Steps, Path, Path], Awaitable[SingleRun]]
"""Makes one picture, with a folder for states and logs, and a folder for the outputs."""


async def run_on_modal(steps: Steps, state: Path, out: Path) -> SingleRun:
    """Deploy the app with `modal deploy` to a local stand-in for Modal, and call it with Modal's client.

    Raises Failure.
    """
    from worker.simulators.modal import ContainerOptions, serve
    from worker.simulators.modal.local_app import SECRET, SHIPPED_APP, call, deploy, worker_environ

    environ = {**without_settings(environment()), "COMFY_WORKER_WEB_SERVER": "0"}
    async with serve(ContainerOptions(state, worker_environ)) as modal:
        modal.add_secret(SECRET, {"WORKER_TOKENS": f"demo={secrets.token_hex(16)}"})
        steps.done("a local stand-in for Modal's control plane")
        try:
            await deploy(modal, SHIPPED_APP, environ)
            steps.done(f"{SHIPPED_APP.name}, deployed with `modal deploy`")
            result = await call(modal, "generate", environ, template=TEMPLATE)
        except StartupError as error:
            raise Failure("not_started", str(error)) from error
        steps.done("one picture through Modal's own client")
    return SingleRun("Modal (local stand-in)", f"modal {version('modal')}", await _saved(result, out))


async def run_on_runpod(steps: Steps, state: Path, out: Path) -> SingleRun:
    """Start a worker of a queue-based endpoint with a local stand-in for RunPod, and send one job to /runsync.

    Raises Failure.
    """
    from worker.simulators.runpod import PodOptions, PodScaling, serve

    template = read_library(SHIPPED)[TEMPLATE]
    body = {"input": {"workflow": fill(template, {}, secrets.randbelow).prompt}}
    pods = PodOptions(worker_command("serve"), state, of_pod, PodScaling(min_workers=1, max_workers=1))
    async with serve(pods=pods) as runpod, ClientSession() as http:
        steps.done("a local stand-in for RunPod, with one worker")
        url, headers = f"{runpod.endpoint_url}/runsync?wait={WAIT_MS}", {"Authorization": f"Bearer {runpod.api_key}"}
        async with http.post(url, json=body, headers=headers) as answer:
            result = await answer.json()
        if result.get("status") != "COMPLETED":
            raise Failure("job_failed", f"the job is {result.get('status')}: {result.get('error', 'no error')}")
        steps.done("one picture through RunPod's queue")
    rows = [{**image, "node_id": "", "kind": "image", "mime": "image/png"} for image in result["output"]["images"]]
    paths = [file.path for file in await save(rows, out, _no_download)]
    return SingleRun("RunPod (local stand-in)", "POST /runsync", paths)


def of_pod(folder: Path) -> Mapping[str, str]:
    """Return the operator's variables of a worker with this folder."""
    fixed = {"WORKER_PLATFORM": "auto", "WORKER_COMFYUI": "embedded", "WORKER_GATEWAY_PORT": "0"}
    return {**fixed, "WORKER_STATE": str(folder / "state")}


async def run_directly(steps: Steps, state: Path, out: Path) -> SingleRun:
    """Run a template with `comfy-worker run`, which starts a worker and calls it over HTTP. Raises Failure."""
    command = worker_command("run", TEMPLATE, "--out", str(out), "--json")
    environ = {**without_settings(environment()), "WORKER_STATE": str(state)}
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await process.communicate()
    if process.returncode:
        raise Failure("not_started", f"comfy-worker run failed:\n{(output + errors).decode(errors='replace')}")
    steps.done("one picture from a worker on this machine, over HTTP")
    paths = [Path(row["path"]) for row in json.loads(output)["outputs"]]
    return SingleRun("none (this machine)", "comfy-worker run", paths)


async def _saved(result: Mapping[str, Any], out: Path) -> list[Path]:
    """Save the outputs of a native result, and return their paths. Raises Failure for an error."""
    if "outputs" not in result:
        error = result.get("error", {})
        raise Failure(error.get("code", "bad_answer"), error.get("message", "the result has no outputs"))
    return [file.path for file in await save(result["outputs"], out, _no_download)]


async def _no_download(url: str, _: Path) -> None:
    """Raise Failure: a result that comes through a platform's client has its outputs in it."""
    raise Failure("bad_answer", f"an output came as the URL {url}")
