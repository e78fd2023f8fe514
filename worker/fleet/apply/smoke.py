"""The smoke job: one real job that is sent to an endpoint through Vast's own client, to prove a deployment."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from worker.errors import DeployError, ParamsError, SmokeFailed, StartupError
from worker.fleet.definition.fleet import SmokeSpec
from worker.load.workload import workload
from worker.workflow.nearest import did_you_mean
from worker.workflow.prompt import Prompt
from worker.workflow.templates.fill import fill
from worker.workflow.templates.template import Library

if TYPE_CHECKING:
    from worker.platforms.vast.client import EndpointResponse


@dataclass(frozen=True, slots=True)
class SmokeJob:
    """A prompt made from a template on this machine, so that the workers do not need the template.

    `name` is the template's name. `limit_s` is the longest wait for the result in seconds.
    """

    name: str
    prompt: Prompt
    limit_s: float


@dataclass(frozen=True, slots=True)
class SmokeResult:
    """The number of outputs, the seconds until the result arrived, and the URL of the worker."""

    outputs: int
    seconds: float
    worker: str

    def __str__(self) -> str:
        return f"{self.outputs} output{'s' * (self.outputs != 1)} in {self.seconds:.1f} s from {self.worker}"


def smoke_job(smoke: SmokeSpec, library: Library) -> SmokeJob:
    """Return the smoke job that the fleet file describes.

    Raises DeployError when the template does not exist or the parameters are invalid.
    """
    if smoke.template not in library:
        suggestion = did_you_mean(smoke.template, library) or f"The templates: {', '.join(library) or 'none'}."
        raise DeployError(f"[smoke] template: there is no template {smoke.template!r}. {suggestion}")
    try:
        filled = fill(library[smoke.template], smoke.params, secrets.randbelow)
    except ParamsError as error:
        raise DeployError(f"[smoke] params: {error}") from error
    return SmokeJob(smoke.template, filled.prompt, smoke.limit_s)


def run_smoke(job: SmokeJob, endpoint_name: str, url: str | None = None) -> SmokeResult:
    """Send the job with the key in VAST_API_KEY and wait for its result.

    `url` is the address of a simulated Vast, None for Vast itself. Raises SmokeFailed when no result with outputs
    arrives in time.
    """
    started = time.monotonic()
    try:
        response = asyncio.run(_send(job, endpoint_name, url))
    except TimeoutError:
        raise SmokeFailed(f"{job.name}: no result within {job.limit_s:g} s") from None
    except (StartupError, RuntimeError, aiohttp.ClientError) as error:
        raise SmokeFailed(f"{job.name}: {error}") from error
    outputs = response.body.get("outputs")
    if response.status != 200 or not outputs:
        raise SmokeFailed(f"{job.name}: {_failure(response)}")
    return SmokeResult(len(outputs), time.monotonic() - started, response.worker)


async def _send(job: SmokeJob, endpoint_name: str, url: str | None) -> EndpointResponse:
    """Send the job and return the response. Raises TimeoutError when the result does not arrive in time."""
    from worker.platforms.vast.client import open_endpoint

    payload = {"workflow": job.prompt, "output_format": "base64"}
    async with asyncio.timeout(job.limit_s), open_endpoint(endpoint_name, url) as endpoint:
        return await endpoint.generate(payload, workload(job.prompt), job.limit_s)


def _failure(response: EndpointResponse) -> str:
    """Return the reason of a failed response: the worker's error, or the HTTP status."""
    error = response.body.get("error")
    if isinstance(error, dict):
        return f"{error.get('message')} [{error.get('code')}] from {response.worker}"
    return f"HTTP {response.status} without outputs from {response.worker}"
