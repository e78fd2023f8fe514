"""The tools: what an agent reads about each, and what each does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from mcp import types
from pydantic import BaseModel

from worker.cli.output.saving import save
from worker.errors import Failure
from worker.mcp_server.arguments import (
    CancelArguments,
    DescribeArguments,
    GenerateArguments,
    NoArguments,
    StatusArguments,
    ToolArguments,
)
from worker.mcp_server.caller_api import CallerApi, McpJob
from worker.mcp_server.generate_run import GenerateRun, ReportProgress
from worker.mcp_server.input_values import InputValues
from worker.mcp_server.job_memory import JobMemory
from worker.mcp_server.output_content import ContentBuilder
from worker.mcp_server.reports import (
    CancelReport,
    JobReport,
    TemplateDescription,
    TemplateListing,
    description_of,
    ended_report,
    pending_report,
    with_verdict,
)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call: the caller, and the parts that all calls share.

    `out` is the folder in which outputs are saved, and `files` the folder whose files may be sent, if there are any.
    """

    caller: str
    api: CallerApi
    memory: JobMemory
    content: ContentBuilder
    report_progress: ReportProgress
    out: Path | None = None
    files: Path | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The structured content of a result, and the blocks that follow its text."""

    report: BaseModel
    blocks: Sequence[types.ContentBlock] = ()

    def as_mcp(self) -> types.CallToolResult:
        """Return the result. Its first block is the report as text, for hosts that ignore structured content."""
        text = types.TextContent(text=self.report.model_dump_json(exclude_none=True))
        structured = self.report.model_dump(mode="json", exclude_none=True)
        return types.CallToolResult(content=[text, *self.blocks], structured_content=structured)


async def list_templates(call: ToolCall, arguments: NoArguments) -> ToolResult:
    """Return name, purpose and parameters of every template."""
    return ToolResult(TemplateListing.model_validate({"templates": await call.api.templates()}))


async def describe_template(call: ToolCall, arguments: DescribeArguments) -> ToolResult:
    """Return the parameters of a template, and whether it can run. Raises Failure for an unknown name."""
    description = description_of(await call.api.template(arguments.template))
    with suppress(Failure):  # a check that fails leaves `ready` unknown
        description = with_verdict(description, await call.api.verdict(description.example))
    return ToolResult(description)


async def generate(call: ToolCall, arguments: GenerateArguments) -> ToolResult:
    """Run a job and return its outputs, or only its id. Raises Failure."""
    request = await asyncio.to_thread(_request, call, arguments)
    if not arguments.wait:
        accepted = await call.api.start(request)
        return ToolResult(pending_report(call.memory.remember(call.caller, accepted), accepted))
    job, result = await GenerateRun(call.api, call.memory, call.caller, call.report_progress).run(request)
    return await _with_outputs(call, job, ended_report(job, result))


async def status(call: ToolCall, arguments: StatusArguments) -> ToolResult:
    """Return the progress or the outputs of a job. Raises Failure for a job that failed, or that does not exist."""
    job = call.memory.find(call.caller, arguments.job_id)
    try:
        ended, body = await call.api.job(job)
        if not ended and arguments.wait_s:
            await call.api.wait(job, arguments.wait_s)
            ended, body = await call.api.job(job)
    except Failure as failure:
        if failure.code == "cancelled":
            return ToolResult(JobReport(job_id=job.id, state="cancelled"))
        raise
    return await _with_outputs(call, job, ended_report(job, body)) if ended else ToolResult(pending_report(job, body))


async def cancel(call: ToolCall, arguments: CancelArguments) -> ToolResult:
    """Cancel a job. Raises Failure if the caller has no job with this id."""
    job = call.memory.find(call.caller, arguments.job_id)
    body = await call.api.cancel(job)
    return ToolResult(CancelReport.model_validate({"job_id": job.id, "state": body["status"], **body}))


def _request(call: ToolCall, arguments: GenerateArguments) -> dict[str, Any]:
    """Return the body of a native request, without `output_format`. Raises Failure. It blocks while it reads files."""
    values = InputValues(call.memory, call.caller, call.files)
    fields = arguments.model_dump(include={"template", "params", "workflow", "inputs", "timeout_s"})
    try:
        request = {name: values.converted(value) for name, value in fields.items() if value}
        orjson.dumps(request)
    except (TypeError, RecursionError) as error:
        raise Failure("invalid_arguments", f"the arguments cannot be sent as JSON: {error}") from error
    return request


async def _with_outputs(call: ToolCall, job: McpJob, report: JobReport) -> ToolResult:
    """Return the report with its outputs as content, after they are saved if the call has a folder for them."""
    if call.out is not None:
        report = report.model_copy(update={"outputs": await _saved(call, job, report, call.out)})
    return ToolResult(report, await call.content.blocks(call.api, job, report.outputs))


async def _saved(call: ToolCall, job: McpJob, report: JobReport, folder: Path) -> list[Any]:
    """Save the outputs in the folder and return them with their paths. Raises Failure when that is not possible."""

    async def fetch(index: str, target: Path) -> None:
        await call.api.save(job, int(index), target)

    rows = [{**output.model_dump(), "url": str(output.index), "text": None} for output in report.outputs]
    try:
        files = await save(rows, folder, fetch)
    except OSError as error:
        raise Failure("not_saved", f"the outputs of job {job.id} cannot be saved in {folder}: {error}") from error
    pairs = zip(report.outputs, files, strict=True)
    return [output.model_copy(update={"path": str(file.path.resolve())}) for output, file in pairs]


@dataclass(frozen=True, slots=True)
class ToolEntry:
    """One tool: the function, the classes of its arguments and its report, and how an agent should see it."""

    run: Callable[[ToolCall, Any], Awaitable[ToolResult]]
    arguments: type[ToolArguments]
    report: type[BaseModel]
    annotations: types.ToolAnnotations
    description: str

    def as_mcp(self, name: str) -> types.Tool:
        """Return the definition that `tools/list` sends."""
        return types.Tool(
            name=name,
            title=self.annotations.title,
            description=self.description,
            input_schema=_plain(self.arguments.model_json_schema()),
            output_schema=self.report.model_json_schema(),
            annotations=self.annotations,
        )


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema without titles and without the docstring of the class, which tell an agent nothing."""
    properties = {
        name: {key: value for key, value in field.items() if key != "title"}
        for name, field in schema.get("properties", {}).items()
    }
    kept = {key: value for key, value in schema.items() if key not in {"title", "description"}}
    return {**kept, "properties": properties}


def _reads(title: str) -> types.ToolAnnotations:
    """Return the annotations of a tool that changes nothing."""
    return types.ToolAnnotations(title=title, read_only_hint=True, idempotent_hint=True, open_world_hint=False)


TOOLS = {
    "list_templates": ToolEntry(
        list_templates,
        NoArguments,
        TemplateListing,
        _reads("List templates"),
        "List the ready-made ComfyUI workflows of this server: images from text, editing, upscaling, video. Returns "
        "the name of each template, what it makes, and its parameters. Call this first, then describe_template.",
    ),
    "describe_template": ToolEntry(
        describe_template,
        DescribeArguments,
        TemplateDescription,
        _reads("Describe a template"),
        "Return the JSON Schema of a template's parameters with types, ranges and defaults, an example call of "
        "generate, and whether this server can run it now or lacks models. Call this before the first generate with "
        "a template.",
    ),
    "generate": ToolEntry(
        generate,
        GenerateArguments,
        JobReport,
        types.ToolAnnotations(
            title="Generate", read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True
        ),
        "Generate images, video, audio or text on a GPU, from a template with `params`, or from a ComfyUI `workflow` "
        "of your own. Each call costs GPU time. Waits until the job has ended and returns its outputs: images are "
        "shown (large ones as a smaller preview), other files are resource links. Each output has a `uri` that can be "
        "an input of the next call. Invalid calls are rejected before they run, with the input and a valid value. "
        'The simplest call is {"template": "NAME", "params": {"prompt": "..."}}.',
    ),
    "status": ToolEntry(
        status,
        StatusArguments,
        JobReport,
        _reads("Status of a job"),
        "Return the state of a job that generate started: its progress and predicted seconds, or its outputs when it "
        "has ended. With `wait_s` it waits for the end, so that you need not poll.",
    ),
    "cancel": ToolEntry(
        cancel,
        CancelArguments,
        CancelReport,
        types.ToolAnnotations(
            title="Cancel a job",
            read_only_hint=False,
            destructive_hint=True,
            idempotent_hint=True,
            open_world_hint=False,
        ),
        "Stop a job that waits or runs, so that it costs no more GPU time. Its outputs are lost.",
    ),
}
"""By name, in the order in which an agent sees them."""
