"""The dialect of Vast's stock ComfyUI template, field by field, so that its clients work unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from worker.delivery_options import Webhook
from worker.dialects.base import (
    Body,
    Dialect,
    JobResponse,
    ParsedRequest,
    changes_of,
    extra_of,
    parse_model,
    problems_of,
    workflow_of,
)
from worker.dialects.bucket_fields import RUNPOD_NAMES, STOCK_NAMES, bucket_target
from worker.dialects.delivery_fields import ImageFields, RunpodEnvelope, StockS3, StockWebhook
from worker.dialects.extra_fields import ExtraDataFields
from worker.dialects.field_names import VAST_FIELD_NAMES, suggested_field, translate_field_names
from worker.dialects.modifiers import fill_modifier, raw_workflow
from worker.errors import Detail, InvalidField, JobCancelled, WorkerError
from worker.job import Job, JobRequest, JobState, Output, OutputMode, sorted_by_node
from worker.storage.bucket import S3Target
from worker.workflow.templates.template import Library


class VastInput(BaseModel):
    """The object under `input`."""

    model_config = ConfigDict(extra="ignore")

    request_id: str = ""
    workflow_json: dict[str, Any] = Field(
        default_factory=dict, description="The workflow in ComfyUI's API format, or as its editor saves it."
    )
    modifier: str = Field(
        "", description="Text2Image, Image2Image, RawWorkflow, or the name of a template of GET /templates."
    )
    modifications: dict[str, Any] = Field(default_factory=dict)
    s3: StockS3 | None = None
    webhook: StockWebhook | None = None
    output: ImageFields | None = Field(
        None, description="Format of the delivered images. The stock template does not have this field."
    )
    return_outputs_as_base64: bool = False
    deliver_models: bool = Field(
        False,
        description="Whether models that nodes save are delivered too. The stock template does not have this field.",
    )
    strict: bool = Field(
        False, description="Whether the workflow is run exactly as sent. The stock template does not have this field."
    )
    keep_seeds: bool = Field(
        False, description="Whether seeds marked as `randomize` are kept. The stock template does not have this field."
    )
    extra_data: ExtraDataFields | None = Field(
        None, description="Data that is sent to ComfyUI with the prompt. The stock template does not have this field."
    )

    def workflow_source(self) -> object:
        """Return the workflow in the request, or None if a modifier stands for a template."""
        raw = raw_workflow(self.modifier, self.modifications, self.workflow_json)
        return raw or (self.workflow_json if not self.modifier else None)


class VastRequest(RunpodEnvelope):
    """`{"input": {...}}`, possibly with fields of RunPod's API beside it.

    Other fields are ignored, as in the stock template.
    """

    input: VastInput


def read(body: Mapping[str, Any], library: Library) -> ParsedRequest:
    """Return the job that a body of the stock template describes. Raises ClientError or a subclass."""
    body_model = parse_model(VastRequest, body)
    request = body_model.input
    prompt = _prompt(request, library, body["input"])
    target = _bucket(body_model)
    mode_without_base64 = OutputMode.URL if target else OutputMode.NONE
    job = JobRequest(
        prompt=prompt,
        output_mode=OutputMode.BASE64 if request.return_outputs_as_base64 else mode_without_base64,
        image_format=request.output.to_image_format() if request.output else None,
        target=target,
        own_target=target is not None,
        webhook=(request.webhook.to_webhook() if request.webhook else None) or body_model.to_webhook(),
        key=request.request_id or None,
        deliver_models=request.deliver_models,
        strict=request.strict,
        keep_seeds=request.keep_seeds,
        extra=extra_of(request.workflow_source(), request.extra_data),
    )
    return ParsedRequest(job)


def _bucket(body_model: VastRequest) -> S3Target | None:
    """Return the bucket of the client, which is in `input.s3` or in RunPod's `s3Config`, or None."""
    stock_fields = body_model.input.s3.fields() if body_model.input.s3 else None
    if stock_fields:
        return bucket_target(stock_fields, STOCK_NAMES, "input.s3")
    runpod_fields = body_model.s3Config.fields() if body_model.s3Config else None
    if runpod_fields:
        return bucket_target(runpod_fields, RUNPOD_NAMES, "s3Config")
    return None


def _no_workflow(input_fields: Mapping[str, Any]) -> InvalidField:
    """Return the error for an `input` without a workflow. The client may use Vast's or RunPod's dialect."""
    message = "'input' needs 'workflow_json' or 'modifier' (Vast's template), or 'workflow' (RunPod's worker)"
    suggestion = suggested_field(input_fields)
    if suggestion is None:
        return InvalidField(message, [Detail(message, input="input")])
    name, correct_name = suggestion
    if name == correct_name:
        remedy = f"'input.{name}' is empty or not an object"
        message = f"{message}; {remedy}"
    else:
        remedy = f"did you mean 'input.{correct_name}'?"
        message = f"unknown field 'input.{name}': {remedy}"
    return InvalidField(message, [Detail(message, input=f"input.{name}", suggestion=remedy)])


def _prompt(request: VastInput, library: Library, input_fields: Mapping[str, Any]) -> Body:
    """Return the workflow of a request, or the filled template of its modifier.

    `input_fields` are the fields of `input` as they were sent. Raises ClientError or a subclass.
    """
    raw = raw_workflow(request.modifier, request.modifications, request.workflow_json)
    if raw:
        return workflow_of(raw)
    if request.modifier and request.workflow_json:
        raise InvalidField("'input.workflow_json' and 'input.modifier' exclude each other")
    if request.modifier:
        return dict(fill_modifier(library, request.modifier, request.modifications).prompt)
    if not request.workflow_json:
        raise _no_workflow(input_fields)
    return workflow_of(request.workflow_json)


def completed(response: JobResponse) -> Body:
    """Return the response body of a job that succeeded."""
    outputs = [_output(response, output) for output in sorted_by_node(response.job.outputs)]
    body = _envelope(response.job.id, "completed", "Processing complete.", outputs)
    body |= {"timings": _timings(response), **response.random_integers}
    return {**body, **translate_field_names(problems_of(response.job), VAST_FIELD_NAMES), **changes_of(response.job)}


def _output(response: JobResponse, output: Output) -> Body:
    """Return the fields of one output in a response."""
    body: Body = {
        "filename": output.filename,
        "local_path": response.local_paths.get(output.index, ""),
        "type": output.folder,
        "subfolder": output.subfolder,
        "node_id": output.node_id,
        "output_type": output.reported_as if output.text is None else output.kind,
    }
    if output.index in response.data:
        body |= {"data": response.data[output.index], "mimetype": output.mime}
    url = response.url(output)
    if url:
        body |= {"url": url}
    if output.text is not None:
        body |= {"text": output.text}
    return body


def _timings(response: JobResponse) -> Body:
    """Return the times of a job in milliseconds."""
    job = response.job
    return {
        "queued_at_ms": round(job.created_at * 1000),
        "preprocess_ms": response.milliseconds(JobState.QUEUED, JobState.PREPARING, JobState.WAITING),
        "generation_ms": response.milliseconds(JobState.GENERATING),
        "postprocess_ms": response.milliseconds(JobState.DELIVERING),
        "completed_at_ms": round((job.created_at + job.elapsed_s) * 1000),
        "total_ms": round(job.elapsed_s * 1000, 2),
    }


def pending(job: Job, url: str, progress: Body) -> Body:
    """Return the body of a 202 response. `progress` has state, position, running node, step, and seconds to the end."""
    body = _envelope(job.id, "pending", "Request accepted", [])
    return {**body, **progress, "token": job.token, "url": url}


def failed(job_id: str | None, error: WorkerError) -> Body:
    """Return the body of an error. `job_id` is None if there is no job."""
    status = "cancelled" if isinstance(error, JobCancelled) else "failed"
    error_info = translate_field_names(error.as_dict(), VAST_FIELD_NAMES)
    return {**_envelope(job_id or "", status, error_info["message"], []), "error": error_info}


def _envelope(job_id: str, status: str, message: str, outputs: list[Body]) -> Body:
    """Return the fields that all responses of the stock template have. `comfyui_response` is always empty here."""
    return {
        "id": job_id,
        "message": message,
        "status": status,
        "comfyui_response": {},
        "output": outputs,
        "timings": {},
    }


def event(job: Job, webhook: Webhook, response_body: Body) -> Body:
    """Return the body that the stock template posts to a webhook, with the error of a failed job beside it."""
    stock_names = ("id", "status", "message", "output", "timings")
    names = (*stock_names, "problems", "repairs", "warnings", "error", "token", "url")
    fields = {name: response_body[name] for name in names if name in response_body}
    return {**fields, "extra": dict(webhook.extra)}


DIALECT = Dialect(
    name="vast",
    identifying_keys=("input",),
    read=read,
    completed=completed,
    pending=pending,
    failed=failed,
    event=event,
    request_model=VastRequest,
    params=("input", "modifications"),
)
