"""What a dialect is: pure functions from a request body to a job, and from a job to a response body."""

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
from worker.engine.protocol.api import EngineInfo
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
    """What a body asks for, and the files in it. They are not decoded yet where they are large."""

    job: JobRequest
    files: tuple[SentFile, ...] = ()


@dataclass(frozen=True, slots=True)
class JobResponse:
    """A job with what only its answer needs: the files in base64 by output index, the gateway's address, the engine."""

    job: Job
    data: Mapping[int, str]
    base_url: str
    engine: EngineInfo | None
    local_paths: Mapping[int, str]

    def url(self, output: Output) -> str | None:
        """Absolute, seen from the client that asks."""
        return self.base_url + output.url if output.url and output.url.startswith("/") else output.url

    @property
    def random_integers(self) -> Body:
        """What was drawn, for dialects that have no place of their own for it; empty where nothing was."""
        request = self.job.request
        drawn = {"random_integers": request.random_integers, "seeds": request.seeds}
        return {name: [asdict(one) for one in integers] for name, integers in drawn.items() if integers}

    def milliseconds(self, *states: JobState) -> float:
        return round(sum(self.job.stages.get(state, 0.0) for state in states) * 1000, 2)


def standard_event(job: Job, webhook: Webhook, answered: Body) -> Body:
    """The body of a webhook as Standard Webhooks suggests it: what happened, when, and the answer as data."""
    when = datetime.fromtimestamp(job.created_at + job.elapsed_s, UTC)
    return {"type": f"job.{job.state}", "timestamp": when.isoformat(), "data": answered}


class ProblemFields(BaseModel):
    """A problem of a workflow, or an output that could not be delivered. Every answer has the same object.

    `code` is a word for programs, `output` the name that a node gave to the file; the others are those of an error's
    `details`.
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
    """The part of an answer that tells what could not be delivered; empty where there is nothing to tell."""
    return {"problems": [asdict(problem) for problem in job.problems]} if job.problems else {}


def changes_of(job: Job) -> Body:
    """The part of an answer that lists what was repaired, and the warnings of the conversion; only what there is."""
    request = job.request
    found: Body = {
        "repairs": [asdict(repair) for repair in request.repairs],
        "warnings": [asdict(warning) for warning in request.warnings],
    }
    return {name: listed for name, listed in found.items() if listed}


@dataclass(frozen=True, slots=True)
class Dialect:
    """`read` gets the worker's templates, for requests that name one.

    `pending` takes the job's URL, and the keys that say how far it is: the same in every dialect.

    `failed` takes the job's id where there is one already; it adds our error under the key `error` or beside it.

    `event` makes a webhook's body of what the sync route would have answered.

    `files` is where the values of the body are files in base64, however long: a model's field there is `Content`. Below
    `params` are values of templates, some of which may be files. Data URIs are files anywhere.
    """

    name: str
    marks: JsonPath
    """Keys, one inside the other, that a body of this dialect has; none: any body."""
    read: Callable[[Mapping[str, Any], Library], ParsedRequest]
    completed: Callable[[JobResponse], Body]
    pending: Callable[[Job, str, Body], Body]
    failed: Callable[[str | None, WorkerError], Body]
    request_model: type[BaseModel]
    result_model: type[BaseModel] | None = None
    """The answer of a job that succeeded, where a model describes it."""
    files: JsonPath | None = None
    params: JsonPath | None = None
    event: Callable[[Job, Webhook, Body], Body] = standard_event


def parse_model(model: type[Model], body: Mapping[str, Any]) -> Model:
    """The body as a model. Raises UnknownField or InvalidField that name every field, and the nearest known one."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
    problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")  # a misspelt field is missing, too
    details = [_detail(model, problem["loc"], problem["type"], problem["msg"]) for problem in problems]
    summary = "; ".join(detail.message for detail in details[:3])
    unknown = all(problem["type"] == "extra_forbidden" for problem in problems)
    raise UnknownField(summary, details) if unknown else InvalidField(summary, details)


def _detail(model: type[BaseModel], place: tuple[int | str, ...], kind: str, message: str) -> Detail:
    name = ".".join(str(part) for part in place)
    if kind == "extra_forbidden" and name == "input":
        return Detail("field 'input' has to be an object: {\"workflow\": ...}", input=name)
    if kind == "extra_forbidden":
        near = nearest_field(model, place)
        if near is None:
            return Detail(
                f"unknown field {name!r}", input=name, suggestion=f"known fields: {', '.join(model.model_fields)}"
            )
        meant = f"did you mean {near!r}?"
        return Detail(f"unknown field {name!r}: {meant}", input=name, suggestion=meant)
    return Detail(f"field {name!r}: {message[:1].lower()}{message[1:]}", input=name)


def workflow_of(workflow: object) -> Body:
    """The prompt, checked. What the editor saves stays as it is: whoever has a catalog turns it into a prompt.

    Raises InvalidWorkflow, with the node where there is one.
    """
    found = unwrap(workflow)
    return dict(found) if isinstance(found, dict) and is_ui(found) else dict(prompt_of(found))


def extra_of(workflow: object, fields: ExtraDataFields | None, api_key: SecretStr | None = None) -> ExtraData:
    """Return what goes to ComfyUI beside the prompt that `workflow` becomes.

    What the editor saved is in it, unless the client gave another one. `api_key` is the key's other place.
    """
    saved = editor_workflow(workflow)
    pnginfo = {} if saved is None else {"workflow": saved}
    if fields is not None:
        pnginfo |= fields.extra_pnginfo or {}
        api_key = fields.api_key_comfy_org or api_key
    key = api_key or None
    return ExtraData(pnginfo or None, key, own_api_key=key is not None)


def prompt_of(workflow: object) -> Prompt:
    """Raises InvalidWorkflow, with the node where there is one."""
    try:
        return parse_prompt(workflow)
    except PromptError as error:
        detail = Detail(error.message, error.node_id, input=error.input_name, suggestion=error.suggestion)
        raise InvalidWorkflow(error.message, [detail]) from error


def find_template(library: Library, name: str) -> Template:
    """Raises UnknownTemplate, with the nearest one."""
    if name not in library:
        near = did_you_mean(name, library) or f"known: {', '.join(library)}"
        raise UnknownTemplate(f"there is no template {name!r}", [Detail(f"no template {name!r}", suggestion=near)])
    return library[name]


def fill_template(library: Library, name: str, params: Params, sent: Collection[str] = ()) -> FilledTemplate:
    """A template with these values; `sent` names the request's files. Raises UnknownTemplate, InvalidParams."""
    template = find_template(library, name)
    try:
        params = {name: with_reference_texts(value) for name, value in params.items()}
    except ValueError as error:
        raise InvalidParams(str(error)) from None
    try:
        return fill(template, params, secrets.randbelow, frozenset(sent))
    except ParamsError as error:
        details = [
            Detail(f"parameter {problem.path!r} {problem.message}", input=problem.path, suggestion=problem.cure)
            for problem in error.problems
        ]
        told = " ".join(f"{detail.message}. {detail.suggestion}" for detail in details[:3])
        raise InvalidParams(told, details) from error
