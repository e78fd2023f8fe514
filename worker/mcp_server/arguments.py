"""The arguments of each tool. Their descriptions are all that an agent knows before its first call."""

from __future__ import annotations

from typing import Annotated, Any, Self, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from worker.errors import Detail, Failure

MOST_WAIT_S = 300.0


def _parsed(value: object) -> object:
    """Return the object that a JSON text contains, because language models often send one in place of an object."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


JsonObject = Annotated[dict[str, Any], BeforeValidator(_parsed)]
TemplateName = Annotated[str, Field(max_length=200, examples=["flux-schnell"])]
JobId = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_:@+-][A-Za-z0-9_.:@+-]{0,127}$", description="The job_id that generate returned.")
]


class ToolArguments(BaseModel):
    """The arguments of a tool. Unknown ones are rejected, so that a misspelt name is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=ToolArguments)


class NoArguments(ToolArguments):
    """A tool without arguments."""


class DescribeArguments(ToolArguments):
    """ToolArguments of `describe_template`."""

    template: TemplateName = Field(description="A name from list_templates.")


class GenerateArguments(ToolArguments):
    """ToolArguments of `generate`: a template with parameters, or a workflow."""

    template: TemplateName = Field(
        default="", description="A name from list_templates. Give either `template` or `workflow`, not both."
    )
    params: JsonObject = Field(
        default={},
        description="Parameters of the template by name; those left out have their defaults. describe_template "
        "returns their schema. An image, video or audio parameter takes the same values as `inputs`.",
        examples=[{"prompt": "a harbour at dawn", "width": 1024, "height": 768}],
    )
    workflow: JsonObject = Field(
        default={},
        description="A ComfyUI workflow of your own, in the API format ({node id: {class_type, inputs}}) or as the "
        "ComfyUI editor saves it. It needs a node that saves, such as SaveImage.",
    )
    inputs: Annotated[dict[str, str], BeforeValidator(_parsed)] = Field(
        default={},
        description="Input files by the name that the workflow uses. A value is an https URL, base64, a data URI, "
        "the `uri` of an output of an earlier job (comfy://jobs/JOB/outputs/0), or file:NAME for a file in the "
        "folder that the server was started with (--files).",
        examples=[{"photo.png": "https://example.com/photo.png"}],
    )
    wait: bool = Field(
        default=True,
        description="true: wait for the outputs, with progress notifications. false: return a job_id at once; then "
        "call status. Use false for videos and other jobs that take more than a minute.",
    )
    timeout_s: float = Field(
        default=0, ge=0, le=86400, description="Seconds after which the job is cancelled. 0: the server's own limit."
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        """Raise ValueError unless exactly one of template and workflow is set."""
        if bool(self.template) == bool(self.workflow):
            raise ValueError("give either `template` (a name from list_templates) or `workflow` (a JSON object)")
        if self.params and not self.template:
            raise ValueError("`params` belong to a `template`; set the inputs of a `workflow` in its nodes")
        return self


class StatusArguments(ToolArguments):
    """ToolArguments of `status`."""

    job_id: JobId
    wait_s: float = Field(
        default=0,
        ge=0,
        le=MOST_WAIT_S,
        description="Wait until the job ends, but at most this many seconds. 30 is a good value; 0 returns at once.",
    )


class CancelArguments(ToolArguments):
    """ToolArguments of `cancel`."""

    job_id: JobId


def read_arguments(model: type[Model], values: dict[str, Any] | None) -> Model:
    """Return the arguments of a call. Raises Failure, which names each argument that is not valid."""
    try:
        return model.model_validate(values or {})
    except ValidationError as error:
        details = [
            Detail(_message(problem["msg"], problem["type"]), input=".".join(map(str, problem["loc"])) or None)
            for problem in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        known = ", ".join(model.model_fields) or "none"
        raise Failure("invalid_arguments", f"the arguments are not valid. The tool takes: {known}", details) from None


def _message(text: str, kind: str) -> str:
    """Return pydantic's message as it is shown to an agent."""
    return "is not an argument of this tool" if kind == "extra_forbidden" else text.removeprefix("Value error, ")
