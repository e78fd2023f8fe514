"""`POST /prompt`: the prompt becomes a job, through the same intake as every other request."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace

import orjson
from aiohttp import web

from worker.api.comfy.callers import caller_of
from worker.api.comfy.client_prompts import Scope
from worker.api.comfy.file_names import CallerFiles
from worker.api.comfy.refusals import plain_refusal, refusal_response
from worker.api.edge.prefer import wait_if_preferred
from worker.api.request_body import receive_body
from worker.api.services import Services, json_response, services_of
from worker.bodies import ScannedBody
from worker.connections import mark_authenticated
from worker.dialects import COMFYUI
from worker.dialects.base import changes_of
from worker.errors import WorkerError
from worker.inputs import SentFile
from worker.intake import Caller, Submission
from worker.job import Job, OutputMode

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Matches the only form of a prompt id that ComfyUI accepts."""
NO_PROMPT = "No prompt provided"


async def post_prompt(request: web.Request) -> web.StreamResponse:
    """Handle `POST /prompt`: start a job, and return its id and its number. Errors have ComfyUI's form.

    With `Prefer: wait=SECONDS` (RFC 7240), the response is sent when the prompt ends, at the latest after this time. It
    has the prompt's entry of the history then, which saves the client a request.
    """
    services, caller = services_of(request), caller_of(request)
    async with receive_body(request) as (body, files):
        if not (body.value.get("prompt") or body.value.get("workflow")):
            return plain_refusal("no_prompt", NO_PROMPT)
        prompt_id = body.value.get("prompt_id")
        if prompt_id is not None and not (isinstance(prompt_id, str) and UUID.fullmatch(prompt_id)):
            return plain_refusal("invalid_prompt_id", "prompt_id must be a valid UUID")
        body.value["prompt_id"] = prompt_id or str(uuid.uuid4())
        submission = await _read(services, body, caller, files)
        try:
            job = await services.intake.accept(submission)
        except WorkerError as error:
            return refusal_response(request, error, submission.request.prompt)
    mark_authenticated(request)  # without tokens, an accepted job counts as authentication
    job.detached = True
    waited = await wait_if_preferred(request, job)
    return json_response(_accepted(services, job, with_history=waited))


async def _read(services: Services, body: ScannedBody, caller: Caller, sent_files: tuple[SentFile, ...]) -> Submission:
    """Return the request in a body, with the caller's files that it names. Raises ClientError or a subclass."""
    submission = await services.intake.read(body, caller, sent_files, COMFYUI)
    scope, request = Scope(caller.principal, caller.parent), submission.request
    follows = services.comfy.prompts.sockets.has_client(scope, request.client_id)
    # The files stay here even with a bucket of the operator's, because `/view` serves them.
    request = replace(request, output_mode=OutputMode.NONE, follows=follows)
    files = CallerFiles(scope, services.comfy.uploads, services.comfy.prompts.of(scope))
    return files.resolve(replace(submission, request=request), await services.intake.catalog())


def _accepted(services: Services, job: Job, *, with_history: bool) -> dict[str, object]:
    """Return the body of the response for an accepted prompt, with its entry of the history if it has ended."""
    prompt = services.comfy.prompts.of(Scope.of(job)).by_id.get(job.id)
    number = prompt.number if prompt is not None else 0
    body = {"prompt_id": job.id, "number": number, "node_errors": {}, **changes_of(job)}
    if with_history and prompt is not None and job.state.ended:
        body["history"] = orjson.Fragment(services.comfy.prompts.history([prompt]))
    return body
