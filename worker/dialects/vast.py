"""The shape of Vast's stock ComfyUI template, field for field, so that its clients need no change."""

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
    model_config = ConfigDict(extra="ignore")

    request_id: str = ""
    workflow_json: dict[str, Any] = Field(
        default_factory=dict, description="In ComfyUI's API format, or as its editor saves it."
    )
    modifier: str = Field("", description="Text2Image, Image2Image, RawWorkflow, or a template of GET /templates.")
    modifications: dict[str, Any] = Field(default_factory=dict)
    s3: StockS3 | None = None
    webhook: StockWebhook | None = None
    output: ImageFields | None = Field(None, description="Not in the stock template.")
    return_outputs_as_base64: bool = False
    deliver_models: bool = Field(False, description="Not in the stock template: the models that nodes save, too.")
    strict: bool = Field(False, description="Not in the stock template: repair nothing, draw no seed.")
    keep_seeds: bool = Field(False, description="Not in the stock template: run the seeds that were sent or saved.")
    extra_data: ExtraDataFields | None = Field(None, description="Not in the stock template.")

    def sent(self) -> object:
        """The workflow that the request brings, None where a modifier makes one."""
        raw = raw_workflow(self.modifier, self.modifications, self.workflow_json)
        return raw or (self.workflow_json if not self.modifier else None)


class VastRequest(RunpodEnvelope):
    """`{"input": {...}}`, maybe with what RunPod's clients put beside it. Other fields are ignored, as by the stock."""

    input: VastInput


def read(body: Mapping[str, Any], library: Library) -> ParsedRequest:
    whole = parse_model(VastRequest, body)
    request = whole.input
    prompt = _prompt(request, library, body["input"])
    target = _bucket(whole)
    without_data = OutputMode.URL if target else OutputMode.NONE
    job = JobRequest(
        prompt=prompt,
        output_mode=OutputMode.BASE64 if request.return_outputs_as_base64 else without_data,
        image_format=request.output.wanted() if request.output else None,
        target=target,
        own_target=target is not None,
        webhook=(request.webhook.webhook() if request.webhook else None) or whole.called(),
        key=request.request_id or None,
        deliver_models=request.deliver_models,
        strict=request.strict,
        keep_seeds=request.keep_seeds,
        extra=extra_of(request.sent(), request.extra_data),
    )
    return ParsedRequest(job)


def _bucket(whole: VastRequest) -> S3Target | None:
    """The client's bucket: in `input.s3`, or beside `input` in RunPod's words."""
    if whole.input.s3 and (given := whole.input.s3.fields()):
        return bucket_target(given, STOCK_NAMES, "input.s3")
    if whole.s3Config and (given := whole.s3Config.fields()):
        return bucket_target(given, RUNPOD_NAMES, "s3Config")
    return None


def _no_workflow(sent: Mapping[str, Any]) -> InvalidField:
    """An `input` without a workflow may be of either dialect that has one."""
    message = "'input' needs 'workflow_json' or 'modifier' (Vast's template), or 'workflow' (RunPod's worker)"
    if (found := suggested_field(sent)) is None:
        return InvalidField(message, [Detail(message, input="input")])
    name, meant = found
    cure = f"did you mean 'input.{meant}'?"
    if name == meant:
        cure = f"'input.{name}' is empty, or no object"
    message = f"unknown field 'input.{name}': {cure}" if name != meant else f"{message}; {cure}"
    return InvalidField(message, [Detail(message, input=f"input.{name}", suggestion=cure)])


def _prompt(request: VastInput, library: Library, sent: Mapping[str, Any]) -> Body:
    if raw := raw_workflow(request.modifier, request.modifications, request.workflow_json):
        return workflow_of(raw)
    if request.modifier and request.workflow_json:
        raise InvalidField("'input.workflow_json' and 'input.modifier' exclude each other")
    if request.modifier:
        return dict(fill_modifier(library, request.modifier, request.modifications).prompt)
    if not request.workflow_json:
        raise _no_workflow(sent)
    return workflow_of(request.workflow_json)


def completed(answer: JobResponse) -> Body:
    outputs = [_output(answer, output) for output in sorted_by_node(answer.job.outputs)]
    body = _envelope(answer.job.id, "completed", "Processing complete.", outputs)
    body |= {"timings": _timings(answer), **answer.random_integers}
    return {**body, **translate_field_names(problems_of(answer.job), VAST_FIELD_NAMES), **changes_of(answer.job)}


def _output(answer: JobResponse, output: Output) -> Body:
    body: Body = {
        "filename": output.filename,
        "local_path": answer.local_paths.get(output.index, ""),
        "type": output.folder,
        "subfolder": output.subfolder,
        "node_id": output.node_id,
        "output_type": output.reported_as if output.text is None else output.kind,
    }
    if output.index in answer.data:
        body |= {"data": answer.data[output.index], "mimetype": output.mime}
    if url := answer.url(output):
        body |= {"url": url}
    if output.text is not None:
        body |= {"text": output.text}
    return body


def _timings(answer: JobResponse) -> Body:
    job, before = answer.job, (JobState.QUEUED, JobState.PREPARING, JobState.WAITING)
    return {
        "queued_at_ms": round(job.created_at * 1000),
        "preprocess_ms": answer.milliseconds(*before),
        "generation_ms": answer.milliseconds(JobState.GENERATING),
        "postprocess_ms": answer.milliseconds(JobState.DELIVERING),
        "completed_at_ms": round((job.created_at + job.elapsed_s) * 1000),
        "total_ms": round(job.elapsed_s * 1000, 2),
    }


def pending(job: Job, url: str, progress: Body) -> Body:
    body = _envelope(job.id, "pending", "Request accepted", [])
    return {**body, **progress, "token": job.token, "url": url}


def failed(job_id: str | None, error: WorkerError) -> Body:
    status = "cancelled" if isinstance(error, JobCancelled) else "failed"
    told = translate_field_names(error.as_dict(), VAST_FIELD_NAMES)
    return {**_envelope(job_id or "", status, told["message"], []), "error": told}


def _envelope(job_id: str, status: str, message: str, outputs: list[Body]) -> Body:
    return {
        "id": job_id,
        "message": message,
        "status": status,
        "comfyui_response": {},
        "output": outputs,
        "timings": {},
    }


def event(job: Job, webhook: Webhook, answered: Body) -> Body:
    """What the stock template posts to a webhook; where the job failed, our error beside it."""
    stock = ("id", "status", "message", "output", "timings")
    names = (*stock, "problems", "repairs", "warnings", "error", "token", "url")
    return {**{name: answered[name] for name in names if name in answered}, "extra": dict(webhook.extra)}


DIALECT = Dialect(
    name="vast",
    marks=("input",),
    read=read,
    completed=completed,
    pending=pending,
    failed=failed,
    event=event,
    request_model=VastRequest,
    params=("input", "modifications"),
)
