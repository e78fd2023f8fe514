"""One real job for an endpoint, through Vast's own client: what a deployment is for."""

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
    """A template with its parameters filled in here, so that a worker needs no such template."""

    name: str
    prompt: Prompt
    limit_s: float


@dataclass(frozen=True, slots=True)
class SmokeResult:
    """What came back, after how many seconds, by which worker."""

    outputs: int
    seconds: float
    worker: str

    def __str__(self) -> str:
        return f"{self.outputs} output{'s' * (self.outputs != 1)} in {self.seconds:.1f} s from {self.worker}"


def job_of(smoke: SmokeSpec, library: Library) -> SmokeJob:
    """Raises DeployError for a template that isn't there and for parameters that don't fit it."""
    if smoke.template not in library:
        meant = did_you_mean(smoke.template, library) or f"There are {', '.join(library) or 'none'}."
        raise DeployError(f"[smoke] template: there is no template {smoke.template!r}. {meant}")
    try:
        filled = fill(library[smoke.template], smoke.params, secrets.randbelow)
    except ParamsError as error:
        raise DeployError(f"[smoke] params: {error}") from error
    return SmokeJob(smoke.template, filled.prompt, smoke.limit_s)


def run_smoke(job: SmokeJob, endpoint_name: str, url: str | None = None) -> SmokeResult:
    """`url` is a stand-in of Vast's; the key is VAST_API_KEY's. Raises SmokeFailed."""
    began = time.monotonic()
    try:
        answer = asyncio.run(_answer(job, endpoint_name, url))
    except TimeoutError:
        raise SmokeFailed(f"{job.name}: no result within {job.limit_s:g} s") from None
    except (StartupError, RuntimeError, aiohttp.ClientError) as error:
        raise SmokeFailed(f"{job.name}: {error}") from error
    outputs = answer.body.get("outputs")
    if answer.status != 200 or not outputs:
        raise SmokeFailed(f"{job.name}: {_said(answer)}")
    return SmokeResult(len(outputs), time.monotonic() - began, answer.worker)


async def _answer(job: SmokeJob, endpoint_name: str, url: str | None) -> EndpointResponse:
    from worker.platforms.vast.client import endpoint

    payload = {"workflow": job.prompt, "output_format": "base64"}
    async with asyncio.timeout(job.limit_s), endpoint(endpoint_name, url) as found:
        return await found.generate(payload, workload(job.prompt), job.limit_s)


def _said(answer: EndpointResponse) -> str:
    error = answer.body.get("error")
    if isinstance(error, dict):
        return f"{error.get('message')} [{error.get('code')}] from {answer.worker}"
    return f"HTTP {answer.status} and no outputs from {answer.worker}"
