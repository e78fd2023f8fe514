"""Route that checks a workflow without running it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from random import SystemRandom
from typing import Any

from aiohttp import hdrs, web

from worker.api.errors import DIALECT
from worker.api.request_body import caller_of, receive_body, strict_of
from worker.api.services import Services, json_response, services_of
from worker.errors import ClientError, EngineUnavailable, PromptError
from worker.inputs.unused import unused_files
from worker.intake.output_references import prompt_with_output_references
from worker.intake.workflow_files import replace_data_uris
from worker.job import JobRequest
from worker.load.workload import FLOOR
from worker.workflow.editor import is_ui
from worker.workflow.model_needs import downloads_by_file, saved_downloads
from worker.workflow.prompt import draw_random_integers, parse_prompt, unwrap
from worker.workflow.repairs import PreparedPrompt, prepare_prompt
from worker.workflow.validation.check import conversion_failure
from worker.workflow.validation.report import build_report
from worker.workflow.walk import run_off_loop_if_large


async def validate(request: web.Request) -> web.Response:
    """Handle `POST /validate`: report all problems of a workflow, the models it needs and its workload.

    Nothing runs.
    """
    services = services_of(request)
    principal = services.access.admit(request.headers.get(hdrs.AUTHORIZATION, ""))
    async with receive_body(request) as (body, form_files):
        await replace_data_uris(body, request[DIALECT])
        unwrapped = unwrap(body.value.get("workflow"))
        editor_file = unwrapped if is_ui(unwrapped) else _editor_file(body.value)
        workflow = body.value.get("workflow")
        own_names = _input_names(body.value)
        files = form_files
        job = _options(body.value, strict_of(request))
        # A prompt is checked as it is, even if it is invalid. Any other body is read like that of a job.
        if "workflow" not in body.value or is_ui(unwrapped):
            try:
                submission = await services.intake.read(body, caller_of(request, principal), form_files)
                job, workflow = submission.request, submission.request.prompt
                own_names, files = submission.own, ()
            except ClientError as error:
                if not is_ui(unwrapped):
                    raise
                return json_response(build_report(conversion_failure(error), (), FLOOR, lambda _: False).as_dict())
    workflow = await run_off_loop_if_large(workflow, partial(_with_reference_texts, workflow))
    file_names = own_names | {file.name for file in files}
    ready = await _ready(services, workflow, job, file_names)
    if ready is not None and files:
        file_names = own_names | {
            file.name for file in await services.intake.with_form_names(files, own_names, ready.prompt)
        }
    prompt, known_downloads = ready.prompt if ready else workflow, downloads_by_file(saved_downloads(unwrapped))
    coming_files = file_names if job.strict else None
    verdict = await services.preflight.report(prompt, known_downloads, editor_file, coming_files, strict=job.strict)
    if verdict is None:
        raise EngineUnavailable("ComfyUI does not report its node classes now")
    if ready is not None:
        unused = unused_files(file_names, ready.prompt, await services.intake.catalog()) if file_names else ()
        verdict = replace(verdict, repairs=ready.repairs, warnings=(*job.warnings, *unused), seeds=ready.fields)
    return json_response(verdict.as_dict())


def _options(body: Mapping[str, Any], strict: bool) -> JobRequest:
    """Return the options beside a prompt that is checked as it is."""
    return JobRequest(prompt={}, strict=strict or body.get("strict") is True, keep_seeds=body.get("keep_seeds") is True)


async def _ready(
    services: Services, workflow: object, job: JobRequest, file_names: frozenset[str]
) -> PreparedPrompt | None:
    """Return the prompt that a job would run, or None if the workflow is not a prompt."""
    catalog = await services.intake.catalog()

    def ready() -> PreparedPrompt | None:
        """Return the prompt that a job would run. Runs in a thread."""
        try:
            prompt = draw_random_integers(parse_prompt(workflow), SystemRandom())
        except PromptError:
            return None
        return prepare_prompt(replace(job, prompt=dict(prompt)), catalog, file_names, SystemRandom())

    return await asyncio.to_thread(ready)


def _with_reference_texts(workflow: object) -> object:
    """Return the workflow with references to outputs as texts. An invalid workflow does not change."""
    with suppress(ValueError):
        if isinstance(workflow, dict) and not is_ui(workflow):
            return prompt_with_output_references(workflow)
    return workflow


def _editor_file(body: object) -> object:
    """Return the file of the editor in `extra_data`, or None."""
    match body:
        case {"extra_data": {"extra_pnginfo": {"workflow": workflow}}}:
            return workflow
    return None


def _input_names(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of files beside a prompt that is checked as it is."""
    inputs = body.get("inputs")
    return frozenset(inputs) if isinstance(inputs, dict) else frozenset()
