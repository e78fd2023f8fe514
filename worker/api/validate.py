"""Route that checks a workflow without running it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from random import SystemRandom
from typing import Any

from aiohttp import web

from worker.api.edge.authorization import authorization_of
from worker.api.errors import DIALECT
from worker.api.request_body import caller_of, receive_body
from worker.api.services import Services, json_response, services_of
from worker.bodies import ScannedBody
from worker.errors import ClientError, EngineUnavailable, PromptError
from worker.inputs import SentFile
from worker.inputs.unused import unused_files
from worker.intake import Caller
from worker.intake.output_references import prompt_with_output_references
from worker.intake.workflow_files import replace_data_uris
from worker.job import JobRequest
from worker.load.features.content_size import Size
from worker.load.workload import FLOOR
from worker.workflow.editor import is_ui
from worker.workflow.model_needs import downloads_by_file, saved_downloads
from worker.workflow.prompt import draw_random_integers, parse_prompt, unwrap
from worker.workflow.repairs import PreparedPrompt, prepare_prompt
from worker.workflow.validation.check import conversion_failure
from worker.workflow.validation.report import ValidationReport, build_report
from worker.workflow.walk import run_off_loop_if_large


@dataclass(frozen=True, slots=True)
class _CheckedWorkflow:
    """A workflow to check, and the data that came with it.

    - `job` has the options of the request.
    - `own_names` are the names of files in the request.
    - `files` are files of a form. Their names depend on the prompt.
    - `editor_file` is the file of the editor, or None.
    - `workflow_sent` is the workflow as it was sent.
    - `sizes` are those of the files, by the texts in the prompt that name them.
    """

    workflow: object
    job: JobRequest
    own_names: frozenset[str]
    files: Sequence[SentFile]
    editor_file: object
    workflow_sent: object
    sizes: Mapping[str, Size] = field(default_factory=dict)


async def validate(request: web.Request) -> web.Response:
    """Handle `POST /validate`: report all problems of a workflow, the models it needs and its workload.

    Nothing runs.
    """
    services = services_of(request)
    principal = services.access.admit(authorization_of(request))
    async with receive_body(request) as (body, form_files):
        await replace_data_uris(body, request[DIALECT])
        workflow_sent = unwrap(body.value.get("workflow"))
        caller = caller_of(request, principal)
        try:
            checked = await _read_workflow(services, body, form_files, caller, workflow_sent)
        except ClientError as error:
            if not is_ui(workflow_sent):
                raise
            return json_response(build_report(conversion_failure(error), (), FLOOR, lambda _: False).as_dict())
    return json_response((await _check(services, checked)).as_dict())


async def _read_workflow(
    services: Services, body: ScannedBody, form_files: tuple[SentFile, ...], caller: Caller, workflow_sent: object
) -> _CheckedWorkflow:
    """Return the workflow in a body. A prompt may be invalid. Any other body is read like that of a job.

    Raises ClientError.
    """
    editor_file = workflow_sent if is_ui(workflow_sent) else _editor_file(body.value)
    if "workflow" in body.value and not is_ui(workflow_sent):
        job = _options(body.value, caller.strict)
        return _CheckedWorkflow(
            body.value.get("workflow"), job, _input_names(body.value), form_files, editor_file, workflow_sent
        )
    submission = await services.intake.read(body, caller, form_files)
    return _CheckedWorkflow(
        submission.request.prompt,
        submission.request,
        submission.file_names,
        (),
        editor_file,
        workflow_sent,
        submission.sizes,
    )


async def _check(services: Services, checked: _CheckedWorkflow) -> ValidationReport:
    """Return the report for the prompt that a job would run. Raises EngineUnavailable if there is no catalog."""
    job = checked.job
    workflow = await run_off_loop_if_large(checked.workflow, partial(_with_reference_texts, checked.workflow))
    file_names = checked.own_names | {file.name for file in checked.files}
    prepared = await _prepared_prompt(services, workflow, job, file_names)
    if prepared is not None and checked.files:
        named_files = await services.intake.with_form_names(checked.files, checked.own_names, prepared.prompt)
        file_names = checked.own_names | {file.name for file in named_files}
    prompt = prepared.prompt if prepared else workflow
    known_downloads = downloads_by_file(saved_downloads(checked.workflow_sent))
    sent_names = file_names if job.strict else None  # with None, every input file counts as present
    assessment = await services.preflight.assess(
        prompt, known_downloads, checked.editor_file, sent_names, checked.sizes, strict=job.strict
    )
    if assessment is None:
        raise EngineUnavailable("ComfyUI does not report its node classes now")
    report = replace(assessment.report, predicted_s=services.engines.estimates.expected(assessment.work).p50_s)
    if prepared is None:
        return report
    unused = unused_files(file_names, prepared.prompt, await services.intake.catalog()) if file_names else ()
    return replace(report, repairs=prepared.repairs, warnings=(*job.warnings, *unused), seeds=prepared.fields)


def _options(body: Mapping[str, Any], strict: bool) -> JobRequest:
    """Return a request without a prompt, with the options `strict` and `keep_seeds` of a body."""
    return JobRequest(prompt={}, strict=strict or body.get("strict") is True, keep_seeds=body.get("keep_seeds") is True)


async def _prepared_prompt(
    services: Services, workflow: object, job: JobRequest, file_names: frozenset[str]
) -> PreparedPrompt | None:
    """Return the prompt that a job would run, or None if the workflow is not a prompt."""
    catalog = await services.intake.catalog()

    def prepare() -> PreparedPrompt | None:
        """Return the repaired prompt with random integers and seeds, or None. Runs in a thread."""
        try:
            prompt = draw_random_integers(parse_prompt(workflow), SystemRandom())
        except PromptError:
            return None
        return prepare_prompt(replace(job, prompt=dict(prompt)), catalog, file_names, SystemRandom())

    return await asyncio.to_thread(prepare)


def _with_reference_texts(workflow: object) -> object:
    """Return the workflow with references to outputs as texts. An invalid workflow does not change."""
    with suppress(ValueError):
        if isinstance(workflow, dict) and not is_ui(workflow):
            return prompt_with_output_references(workflow)
    return workflow


def _editor_file(body: object) -> object:
    """Return the file of the editor in the `extra_data` of a body, or None."""
    match body:
        case {"extra_data": {"extra_pnginfo": {"workflow": workflow}}}:
            return workflow
    return None


def _input_names(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the files in the field `inputs` of a body."""
    inputs = body.get("inputs")
    return frozenset(inputs) if isinstance(inputs, dict) else frozenset()
