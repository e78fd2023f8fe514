"""The interface of a dialect: pure functions from a request body to a job, and from a job to a response body."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr, ValidationError

from worker.bodies import JsonPath
from worker.delivery_options import Webhook
from worker.dialects.extra_fields import ExtraDataFields
from worker.dialects.field_names import nearest_field
from worker.engine.protocol.responses import EngineInfo
from worker.errors import (
    Detail,
    InvalidField,
    InvalidParams,
    InvalidWorkflow,
    ParamsError,
    PromptError,
    UnknownField,
    UnknownTemplate,
    WorkerError,
)
from worker.extra_data import ExtraData
from worker.inputs import SentFile
from worker.inputs.earlier_output import with_reference_texts
from worker.job import Job, JobRequest, JobState, Output
from worker.workflow.editor import is_ui
from worker.workflow.nearest import did_you_mean
from worker.workflow.prompt import Prompt, editor_workflow, parse_prompt, unwrap
from worker.workflow.templates.fill import FilledTemplate, fill
from worker.workflow.templates.template import Library, Params, Template

Model = TypeVar("Model", bound=BaseModel)
Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """The job that a body describes, and the files in the body. Large files are not decoded yet."""

    job: JobRequest
    files: tuple[SentFile, ...] = ()


@dataclass(frozen=True, slots=True)
class JobResponse:
    """A job with everything that a response body needs.

    `data` has the base64 of the files, and `local_paths` their paths on this machine, both by output index. `base_url`
    is the URL at which the client reaches the gateway. `engine` is None if ComfyUI cannot be reached. `usd_hour` is
    the price of a GPU in US dollars an hour, 0 if it is not known.
    """

    job: Job
    data: Mapping[int, str]
    base_url: str
    engine: EngineInfo | None
    local_paths: Mapping[int, str]
    usd_hour: float = 0.0

    @property
    def gpu_usd(self) -> float | None:
        """Price of the seconds that the GPU spent on the job, None if the price of the GPU is not known."""
        seconds = self.job.stages.get(JobState.GENERATING, 0.0)
        return round(seconds * self.usd_hour / 3600, 8) if self.usd_hour else None

    def url(self, output: Output) -> str | None:
        """Return the absolute URL of an output for this client, or None if it has no URL."""
        is_on_worker = output.url is not None and output.url.startswith("/")
        return f"{self.base_url}{output.url}" if is_on_worker else output.url

    @property
    def random_integers(self) -> Body:
        """Fields with the random integers and seeds that the worker drew, or an empty object if there are none.

        For dialects that have no fields of their own for them.
        """
        request = self.job.request
        drawn = {"random_integers": request.random_integers, "seeds": request.seeds}
        return {name: [asdict(integer) for integer in integers] for name, integers in drawn.items() if integers}

    def milliseconds(self, *states: JobState) -> float:
        """Return the milliseconds that the job spent in these states."""
        return round(sum(self.job.stages.get(state, 0.0) for state in states) * 1000, 2)


def standard_event(job: Job, webhook: Webhook, response_body: Body) -> Body:
    """Return the body of a webhook in the form of Standard Webhooks: type, timestamp, and the response body as data."""
    ended_at = datetime.fromtimestamp(job.created_at + job.elapsed_s, UTC)
    return {"type": f"job.{job.state}", "timestamp": ended_at.isoformat(), "data": response_body}


class ProblemFields(BaseModel):
    """A problem of a workflow, or an output that could not be delivered. It is the same in every dialect.

    `code` is for programs. `output` is the name that a node gave to the file. The other fields are those of the
    `details` of an error.
    """

    message: str
    node_id: str | None
    node_title: str | None
    class_type: str | None
    input: str | None
    suggestion: str | None
    expected: str | None
    comfyui_type: str | None
    code: str
    output: str | None


def problems_of(job: Job) -> Body:
    """Return an object with the field `problems`: the outputs that could not be delivered. It is empty without any."""
    return {"problems": [asdict(problem) for problem in job.problems]} if job.problems else {}


def changes_of(job: Job) -> Body:
    """Return an object with the fields `repairs` and `warnings` of a response. A field without items is left out."""
    request = job.request
    fields: Body = {
        "repairs": [asdict(repair) for repair in request.repairs],
        "warnings": [asdict(warning) for warning in request.warnings],
    }
    return {name: items for name, items in fields.items() if items}


@dataclass(frozen=True, slots=True)
class Dialect:
    """One request format.

    - `read` converts a body to a job. It gets the templates of the worker for requests that name one.
    - `completed` returns the response body of a job that succeeded.
    - `pending` returns the body of a 202 response. It gets the URL of the job and its progress.
    - `failed` returns the body of an error. It gets the id of the job, if there is a job.
    - `event` returns the body of a webhook. It gets the body that the synchronous route would have returned.
    - `files` is the location of base64 files in the body. Their fields have the type `Content`.
    - `params` is the location of template parameters, which may contain files. Data URIs are files anywhere.
    """

    name: str
    identifying_keys: JsonPath
    """Keys, one inside the other, that identify a body of this dialect. Empty means any body."""
    read: Callable[[Mapping[str, Any], Library], ParsedRequest]
    completed: Callable[[JobResponse], Body]
    pending: Callable[[Job, str, Body], Body]
    failed: Callable[[str | None, WorkerError], Body]
    request_model: type[BaseModel]
    result_model: type[BaseModel] | None = None
    """Model of the response of a job that succeeded, if there is one."""
    files: JsonPath | None = None
    params: JsonPath | None = None
    event: Callable[[Job, Webhook, Body], Body] = standard_event


def parse_model(model: type[Model], body: Mapping[str, Any]) -> Model:
    """Return a body as a model. Raises UnknownField or InvalidField.

    Their details name each wrong field, and the nearest known field for an unknown one.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
    # Unknown fields come first, because a misspelt field is also a missing one.
    problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
    details = [_detail(model, problem["loc"], problem["type"], problem["msg"]) for problem in problems]
    summary = "; ".join(detail.message for detail in details[:3])
    all_unknown = all(problem["type"] == "extra_forbidden" for problem in problems)
    raise UnknownField(summary, details) if all_unknown else InvalidField(summary, details)


def _detail(model: type[BaseModel], location: tuple[int | str, ...], kind: str, message: str) -> Detail:
    """Return the detail for a validation error of pydantic. `kind` is its type and `location` its place in the body."""
    name = ".".join(str(part) for part in location)
    if kind == "extra_forbidden" and name == "input":  # no object, or another dialect would read the body
        return Detail("field 'input' must be an object: {\"workflow\": ...}", input=name)
    if kind == "extra_forbidden":
        nearest = nearest_field(model, location)
        if nearest is None:
            return Detail(
                f"unknown field {name!r}", input=name, suggestion=f"known fields: {', '.join(model.model_fields)}"
            )
        suggestion = f"did you mean {nearest!r}?"
        return Detail(f"unknown field {name!r}: {suggestion}", input=name, suggestion=suggestion)
    return Detail(f"field {name!r}: {message[:1].lower()}{message[1:]}", input=name)


def workflow_of(workflow: object) -> Body:
    """Return a workflow as a checked prompt, or unchanged if it is a file of the editor.

    A file of the editor is converted later, with a catalog. Raises InvalidWorkflow, with the node if there is one.
    """
    unwrapped = unwrap(workflow)
    return dict(unwrapped) if isinstance(unwrapped, dict) and is_ui(unwrapped) else dict(prompt_of(unwrapped))


def extra_of(workflow: object, fields: ExtraDataFields | None, api_key: SecretStr | None = None) -> ExtraData:
    """Return the data that is sent to ComfyUI beside the prompt.

    It includes the file of the editor in `workflow`, unless `fields` have another one. `api_key` is a comfy.org key
    from another field of the request. A key in `fields` takes precedence.
    """
    editor_file = editor_workflow(workflow)
    pnginfo = {} if editor_file is None else {"workflow": editor_file}
    if fields is not None:
        pnginfo |= fields.extra_pnginfo or {}
        api_key = fields.api_key_comfy_org or api_key
    key = api_key or None  # an empty key is no key
    return ExtraData(pnginfo or None, key, own_api_key=key is not None)


def prompt_of(workflow: object) -> Prompt:
    """Return the workflow as a checked prompt. Raises InvalidWorkflow, with the node if there is one."""
    try:
        return parse_prompt(workflow)
    except PromptError as error:
        detail = Detail(error.message, error.node_id, input=error.input_name, suggestion=error.suggestion)
        raise InvalidWorkflow(error.message, [detail]) from error


def find_template(library: Library, name: str) -> Template:
    """Return the template with this name. Raises UnknownTemplate, which suggests the nearest name."""
    if name not in library:
        suggestion = did_you_mean(name, library) or f"known: {', '.join(library)}"
        raise UnknownTemplate(
            f"there is no template {name!r}", [Detail(f"no template {name!r}", suggestion=suggestion)]
        )
    return library[name]


def fill_template(library: Library, name: str, params: Params, sent_files: Collection[str] = ()) -> FilledTemplate:
    """Return a template filled with these values.

    `sent_files` are the names of the files in the request. Raises UnknownTemplate or InvalidParams.
    """
    template = find_template(library, name)
    try:
        params = {param: with_reference_texts(value) for param, value in params.items()}
    except ValueError as error:
        raise InvalidParams(str(error)) from None
    try:
        return fill(template, params, secrets.randbelow, frozenset(sent_files))
    except ParamsError as error:
        details = [
            Detail(f"parameter {problem.path!r} {problem.message}", input=problem.path, suggestion=problem.cure)
            for problem in error.problems
        ]
        summary = " ".join(f"{detail.message}. {detail.suggestion}" for detail in details[:3])
        raise InvalidParams(summary, details) from error
