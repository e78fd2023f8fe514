"""What the tools return as structured content, and how it is read from responses of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field

from worker.mcp_server.caller_api import McpJob
from worker.mcp_server.mcp_progress import pending_sentence

EXAMPLE_FILES = {"video": "clip.mp4", "audio": "speech.wav"}
LONGEST_TEXT = 20_000
"""Characters of a text output that a result contains. The resource has all of it."""


class TemplateSummary(BaseModel):
    """One entry of `list_templates`."""

    name: str
    title: str = ""
    about: str = ""
    parameters: list[str] = []


class TemplateListing(BaseModel):
    """The result of `list_templates`."""

    templates: list[TemplateSummary]


class TemplateDescription(BaseModel):
    """The result of `describe_template`."""

    name: str
    title: str = ""
    about: str = ""
    params_schema: dict[str, Any] = Field(description="JSON Schema of `params` of generate, with defaults.")
    models: list[str] = Field(default=[], description="Model files that the server needs, as folder/file.")
    packs: list[str] = Field(default=[], description="ComfyUI node packs that the server needs.")
    ready: bool | None = Field(default=None, description="Whether the example can run now. Missing: unknown.")
    problems: list[str] = Field(default=[], description="Why the example cannot run, such as missing models.")
    example: dict[str, Any] = Field(description="ToolArguments of generate for this template.")


class JobOutput(BaseModel):
    """One output of a job."""

    index: int
    uri: str = Field(description="Resource to read the file, and a value for `inputs` of a later job.")
    node_id: str
    kind: str
    mime: str
    filename: str | None = None
    bytes: int | None = None
    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    url: str | None = Field(default=None, description="Public URL of the file, if the server stores it in a bucket.")
    path: str | None = Field(default=None, description="Path of the saved file on this machine.")
    text: str | None = None


class ChosenSeed(BaseModel):
    """A random seed that the worker chose."""

    node_id: str
    input: str
    value: int


class JobReport(BaseModel):
    """The result of `generate` and `status`."""

    job_id: str
    state: str = Field(description="completed, cancelled, or the state of a job that has not ended.")
    outputs: list[JobOutput] = []
    progress: str | None = Field(default=None, description="What the job does now, if it has not ended.")
    eta_s: float | None = Field(default=None, description="Predicted seconds until the end.")
    params: dict[str, Any] | None = Field(default=None, description="All parameters that were used, with the seed.")
    seeds: list[ChosenSeed] | None = None
    seconds: float | None = Field(default=None, description="Seconds of GPU time.")
    notes: list[str] | None = Field(default=None, description="Repairs, warnings, and outputs that were lost.")


class CancelReport(BaseModel):
    """The result of `cancel`."""

    job_id: str
    cancelled: bool = Field(description="false if the job had ended before.")
    state: str
    stopping: bool = Field(default=False, description="true while one of its nodes ignores the interrupt.")


def output_uri(job_id: str, index: int) -> str:
    """Return the URI of the MCP resource for an output."""
    return f"comfy://jobs/{job_id}/outputs/{index}"


def ended_report(job: McpJob, body: Mapping[str, Any]) -> JobReport:
    """Return the report for a native result."""
    metadata = body.get("metadata") or {}
    notes = [str(row.get("message")) for name in ("problems", "repairs", "warnings") for row in body.get(name) or ()]
    return JobReport(
        job_id=job.id,
        state="completed",
        outputs=[_output(job, row) for row in body.get("outputs") or ()],
        params=metadata.get("params"),
        seeds=metadata.get("seeds"),
        seconds=metadata.get("generation_time"),
        notes=notes or None,
    )


def pending_report(job: McpJob, body: Mapping[str, Any]) -> JobReport:
    """Return the report for a job that has not ended."""
    state, eta = str(body.get("state", "pending")), body.get("eta_s")
    return JobReport(job_id=job.id, state=state, progress=pending_sentence(body), eta_s=eta)


def description_of(body: Mapping[str, Any]) -> TemplateDescription:
    """Return the description for the response of `GET /templates/{name}`."""
    schema = {key: value for key, value in body["schema"].items() if key not in {"$schema", "title", "description"}}
    return TemplateDescription(
        name=body["name"],
        title=body.get("title", ""),
        about=body.get("about", ""),
        params_schema=schema,
        models=[f"{model['folder']}/{model['file']}" for model in body.get("models") or ()],
        packs=body.get("packs") or [],
        example={"template": body["name"], "params": _example(schema)},
    )


def with_verdict(description: TemplateDescription, verdict: Mapping[str, Any]) -> TemplateDescription:
    """Return the description with what `POST /validate` said about its example."""
    problems = [str(row.get("message")) for row in verdict.get("problems") or ()]
    return description.model_copy(update={"ready": bool(verdict.get("valid")), "problems": problems})


def _example(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return values for the required parameters, and for the prompt."""
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    shown: Sequence[str] = [*schema.get("required", ()), *(name for name in ("prompt",) if name in properties)]
    return {name: _example_value(properties[name]) for name in dict.fromkeys(shown)}


def _example_value(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Return a value that fits the schema of one parameter."""
    if "default" in schema:
        return schema["default"]
    if schema.get("enum"):
        return schema["enum"][0]
    plain = {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1.0), "boolean": True, "array": []}
    kind = str(schema.get("contentMediaType", "")).partition("/")[0]
    return plain.get(str(schema.get("type")), f"https://example.com/{EXAMPLE_FILES.get(kind, 'input.png')}")


def _output(job: McpJob, row: Mapping[str, Any]) -> JobOutput:
    """Return the report of one output. A URL that contains the token of the job is left out."""
    url, text = row.get("url"), row.get("text")
    return JobOutput(
        index=row["index"],
        uri=output_uri(job.id, row["index"]),
        node_id=row["node_id"],
        kind=row["kind"],
        mime=row["mime"],
        filename=row.get("filename"),
        bytes=row.get("bytes"),
        width=row.get("width"),
        height=row.get("height"),
        duration_s=row.get("duration_s"),
        url=None if not url or (job.token and job.token in url) or "token=" in url else url,
        text=text if text is None or len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… (cut; read {job.id})",
    )
