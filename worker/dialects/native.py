"""Our own shape: a workflow in, typed outputs out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from worker.delivery_options import DeliveryTarget
from worker.dialects.base import (
    Body,
    Dialect,
    JobResponse,
    ParsedRequest,
    ProblemFields,
    changes_of,
    extra_of,
    fill_template,
    parse_model,
    problems_of,
    prompt_of,
    workflow_of,
)
from worker.dialects.comfyui_fields import ComfyFields, job_id, order_warnings, with_targets
from worker.dialects.delivery_fields import ImageFields, OutputFormat, WebhookFields
from worker.dialects.extra_fields import ExtraDataFields
from worker.errors import Detail, InvalidField, WorkerError
from worker.inputs import read_inputs
from worker.inputs.earlier_output import InputContent
from worker.inputs.names import spellings
from worker.job import Job, JobRequest, JobState, Output, OutputMode, RandomInteger, sorted_by_node
from worker.prompt_changes import Repair
from worker.storage.kind import StorageKind
from worker.storage.registry import KINDS
from worker.workflow.prompt import editor_workflow, is_ui
from worker.workflow.templates.template import Library

OptionsModel = TypeVar("OptionsModel", bound="DeliveryOptions")


class DeliveryOptions(BaseModel):
    """Body of `POST /jobs/{id}/deliver`, and part of a native request.

    `with_storage_fields` adds a field for each kind of storage.
    """

    model_config = ConfigDict(extra="forbid")

    output_format: OutputFormat | None = Field(
        None,
        description="Outputs in the answer, or by URL: where a place of your own is given url, else base64.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if len(found := self._places()) > 1:
            raise ValueError(f"{' and '.join(repr(kind.name) for kind, _ in found)} exclude each other")
        return self

    def target(self) -> DeliveryTarget | None:
        return next((kind.target(value) for kind, value in self._places()), None)

    @property
    def way(self) -> OutputFormat:
        return self.output_format or ("url" if self._places() else "base64")

    def _places(self) -> list[tuple[StorageKind, Any]]:
        return [(kind, value) for kind in KINDS if (value := getattr(self, kind.name, None)) is not None]


def with_storage_fields(model: type[OptionsModel]) -> type[OptionsModel]:
    """Return the model with the fields that name a place in a storage."""
    fields: dict[str, Any] = {}
    for kind in KINDS:
        type_, info = kind.field
        fields[kind.name] = (Annotated[type_, info] | None, None)
    return create_model(model.__name__, __base__=model, __doc__=model.__doc__, __module__=__name__, **fields)


class NativeRequest(ComfyFields, DeliveryOptions):
    """Body of `POST /generate/sync`, `/generate` and `/generate/stream`."""

    workflow: dict[str, Any] | None = Field(
        None,
        description="The workflow in ComfyUI's API format (node id -> class_type, inputs), or as its editor saves it.",
    )
    prompt: dict[str, Any] | None = Field(
        None, description="In API format: it is run, and `workflow`, what the editor saves, goes along for its readers."
    )
    extra_data: ExtraDataFields | None = None
    template: str | None = Field(None, description="A template of GET /templates, in place of `workflow`.")
    params: dict[str, Any] = Field(default_factory=dict, description="Values for the template's parameters.")
    inputs: dict[str, InputContent] = Field(
        default_factory=dict, description="Files by the name that the workflow uses: base64, a data URI or a URL."
    )
    output: ImageFields | None = None
    webhook: WebhookFields | None = None
    deliver_models: bool = Field(False, description="Deliver the models that nodes save, too.")
    strict: bool = Field(False, description="Run what was sent, or refuse it: repair nothing, draw no seed.")
    keep_seeds: bool = Field(False, description="Run the seeds that were sent or saved.")
    id: str | None = Field(None, description="Your own id. The same request with the same id finds the same job.")
    timeout_s: float | None = Field(None, gt=0, le=86400, description="The job is given up after this many seconds.")

    def sent(self) -> dict[str, Any] | None:
        """The workflow; with a prompt of its own both, in one export."""
        return self.workflow if self.prompt is None else {"prompt": self.prompt, "workflow": self.workflow}


DELIVER_REQUEST, NATIVE_REQUEST = with_storage_fields(DeliveryOptions), with_storage_fields(NativeRequest)


class NativeOutput(BaseModel):
    """One output: `data` (base64), `url`, or both where a place of the client's own was named; or `text`.

    Sizes are in bytes and pixels.
    """

    index: int
    node_id: str
    kind: str
    filename: str
    subfolder: str | None = None
    """Where the node put the file, below ComfyUI's folder."""
    mime: str
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    data: str | None = None
    url: str | None = None
    text: str | None = None
    """What the node says; of kind `json`, the JSON of its `value`."""
    value: Any = None


class NativeMetadata(BaseModel):
    """Times in seconds, except `timings`, which are milliseconds by stage."""

    generation_time: float
    queue_time: float
    gpu_used: str
    engine: str
    workload: float
    timings: dict[str, float]
    template: str | None = None
    params: dict[str, Any] | None = None
    """What the template's parameters were, defaults and drawn seeds included; files are left out."""
    random_integers: list[RandomInteger] | None = None
    """What each `__RANDOM_INT__` of the workflow became."""
    seeds: list[RandomInteger] | None = None
    """Fresh seeds: where the editor's file says `randomize`, and in place of seeds that are below their range."""


class NativeResult(BaseModel):
    """Body of a successful answer. `image` is the first image: base64 or URL."""

    status: Literal["success"] = "success"
    id: str
    image: str | None = None
    outputs: list[NativeOutput]
    problems: list[ProblemFields] | None = None
    """What could not be delivered, where there is anything."""
    repairs: list[Repair] | None = None
    """What runs in another form than it was sent, where there is anything."""
    warnings: list[Detail] | None = None
    """What the client should know of the prompt that was made of its workflow, where there is anything."""
    metadata: NativeMetadata


def read(body: Mapping[str, Any], library: Library) -> ParsedRequest:
    request = parse_model(NATIVE_REQUEST, body)
    files, urls = read_inputs(request.inputs) if request.inputs else ((), {})
    prompt, params = _wanted(request, library)
    job = JobRequest(
        prompt=prompt,
        template=request.template,
        params=params,
        urls=urls,
        output_mode=OutputMode(request.way),
        strict=request.strict,
        keep_seeds=request.keep_seeds,
        key=job_id(request.id, request.prompt_id) if request.prompt_id else request.id,
        timeout_s=request.timeout_s,
        image_format=request.output.wanted() if request.output else None,
        deliver_models=request.deliver_models,
        target=request.target(),
        own_target=request.target() is not None,
        webhook=request.webhook.webhook() if request.webhook else None,
        extra=extra_of(request.sent(), request.extra_data),
        warnings=order_warnings(request) if request.front or request.number else (),
    )
    return ParsedRequest(job, files)


def _wanted(request: NativeRequest, library: Library) -> tuple[Body, Mapping[str, Any]]:
    """The workflow, and the values of the template that it was made of."""
    sent = request.sent()
    if request.template is not None and sent is None:
        names = {form for name in request.inputs for form in (name, *spellings(name))}
        made = fill_template(library, request.template, request.params, names)
        return dict(made.prompt), made.values
    if request.template is not None:
        raise InvalidField(
            f"'{'workflow' if request.workflow is not None else 'prompt'}' and 'template' exclude each other"
        )
    if request.params:
        raise InvalidField("'params' are for a 'template', and there is none")
    if sent is None:
        raise InvalidField("either 'workflow' or 'template' is needed")
    if request.prompt is not None and request.workflow is not None and editor_workflow(request.workflow) is None:
        raise InvalidField("'workflow' beside a 'prompt' has to be what ComfyUI's editor saves")
    prompt = workflow_of(sent)
    if request.partial_execution_targets is None:
        return prompt, {}
    if is_ui(prompt):
        raise InvalidField("'partial_execution_targets' names nodes of an API prompt, and this is an editor's file")
    return dict(with_targets(prompt_of(prompt), request.partial_execution_targets)), {}


def read_delivery_request(body: Mapping[str, Any]) -> JobRequest | None:
    """What `POST /jobs/{id}/deliver` says of place and way; None where it says nothing."""
    wish = parse_model(DELIVER_REQUEST, body)
    if not wish.model_fields_set:
        return None
    target = wish.target()
    return JobRequest(prompt={}, output_mode=OutputMode(wish.way), target=target, own_target=target is not None)


def output(answer: JobResponse, item: Output) -> NativeOutput:
    return NativeOutput(
        index=item.index,
        node_id=item.node_id,
        kind=item.kind,
        filename=item.filename,
        subfolder=item.subfolder or None,
        mime=item.mime,
        bytes=item.size,
        sha256=item.sha256,
        width=item.width,
        height=item.height,
        duration_s=item.duration_s,
        data=answer.data.get(item.index),
        url=answer.url(item),
        text=item.text,
    )


def completed(answer: JobResponse) -> Body:
    outputs = [output(answer, item) for item in sorted_by_node(answer.job.outputs)]
    image = next((found.data or found.url for found in outputs if found.kind == "image"), None)
    result = NativeResult(id=answer.job.id, image=image, outputs=outputs, metadata=_metadata(answer))
    body = result.model_dump(exclude_none=True)
    for found in body["outputs"]:
        if found["kind"] == "json":
            found["value"] = orjson.loads(found["text"])
    return body | problems_of(answer.job) | changes_of(answer.job)


def _metadata(answer: JobResponse) -> NativeMetadata:
    stages = (JobState.QUEUED, JobState.PREPARING, JobState.WAITING, JobState.GENERATING, JobState.DELIVERING)
    timings = {f"{state.value}_ms": answer.milliseconds(state) for state in stages}
    engine = answer.engine
    return NativeMetadata(
        generation_time=answer.milliseconds(JobState.GENERATING) / 1000,
        queue_time=answer.milliseconds(JobState.QUEUED, JobState.PREPARING, JobState.WAITING) / 1000,
        gpu_used=engine.device if engine else "unknown",
        engine="embedded" if engine and engine.embedded else f"comfyui {engine.version if engine else 'unknown'}",
        workload=answer.job.workload,
        timings={**timings, "total_ms": round(answer.job.elapsed_s * 1000, 2)},
        template=answer.job.request.template,
        params=dict(answer.job.request.params) if answer.job.request.template else None,
        random_integers=list(answer.job.request.random_integers) or None,
        seeds=list(answer.job.request.seeds) or None,
    )


def pending(job: Job, url: str, progress: Body) -> Body:
    return {"status": "pending", **progress, "id": job.id, "token": job.token, "url": url}


def failed(job_id: str | None, error: WorkerError) -> Body:
    return {"status": "error", "id": job_id, "error": error.as_dict()}


DIALECT = Dialect(
    name="native",
    marks=(),
    read=read,
    completed=completed,
    pending=pending,
    failed=failed,
    request_model=NATIVE_REQUEST,
    result_model=NativeResult,
    files=("inputs",),
    params=("params",),
)
