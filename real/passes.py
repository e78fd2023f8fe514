"""One job of the suite: the request, and the comparison of the response with what ComfyUI wrote meanwhile."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from real.comparison import JobAnswer, changed_bytes, differences, repeats
from real.conversions import conversion_differences
from real.engine_log import EngineLog, RecordedRun
from real.jobs import EARLIER, RealJob
from real.media import MEDIA
from real.sending import JobSender
from real.workers import RunningWorker

Catalog = Mapping[str, Mapping[str, Any]]


class RequestMode(StrEnum):
    """How a job is sent."""

    INLINE = "inline"
    URL = "by URL"
    AGAIN = "again, after its results expired"
    VAST = "through Vast's client"
    VAST_AGAIN = "through Vast's client, again"
    EMBEDDED = "embedded engine"


@dataclass(frozen=True, slots=True)
class JobResult:
    """The result of one request. `outputs` has the node id and the kind of each delivered output."""

    job: RealJob
    mode: RequestMode
    outputs: Sequence[tuple[str, str]] = ()
    differences: Sequence[str] = ()
    log: EngineLog = field(default_factory=lambda: EngineLog((), (), ()))
    seconds: float = 0.0
    skipped: str = ""
    """Why the job was not sent. Empty when it was."""


class EngineInventory:
    """The classes and models of an engine, and the files that earlier jobs delivered."""

    def __init__(self, catalog: Catalog, text: str) -> None:
        """Read from a catalog, and from the same catalog as JSON text, in which model names are searched."""
        self._catalog = catalog
        self._text = text
        self._delivered: dict[str, bytes] = {}

    def reason_to_skip(self, job: RealJob) -> str:
        """Return what the job needs and the engine does not have, or an empty string when nothing is missing."""
        missing_classes = sorted(name for name in job.classes if name not in self._catalog)
        if missing_classes:
            return f"not installed: {', '.join(missing_classes)}"
        missing_models = sorted(name for name in job.models if f'"{name}"' not in self._text)
        if missing_models:
            return f"no such model: {', '.join(missing_models)}"
        sources = (source.removeprefix(EARLIER) for source in job.inputs.values() if source.startswith(EARLIER))
        missing_sources = sorted(source for source in sources if source not in self._delivered)
        if missing_sources:
            return f"these jobs delivered no input file for it: {', '.join(missing_sources)}"
        return ""

    def input_files(self, job: RealJob) -> dict[str, str]:
        """Return the job's input files by name, in base64."""
        return {name: base64.b64encode(self._content(source)).decode() for name, source in job.inputs.items()}

    def add_delivered(self, job: RealJob, answer: JobAnswer) -> None:
        """Store the first file of a response, for later jobs that use it as an input."""
        content = next((output.content for output in answer.outputs if output.content is not None), None)
        if content is not None:
            self._delivered.setdefault(job.name, content)

    def savers(self, run: RecordedRun) -> set[str]:
        """Return the ids of the prompt's output nodes."""
        return {
            node_id
            for node_id, node in run.prompt.items()
            if self._catalog.get(node["class_type"], {}).get("output_node")
        }

    def _content(self, source: str) -> bytes:
        """Return the content of an input file."""
        if source.startswith(EARLIER):
            return self._delivered[source.removeprefix(EARLIER)]
        return MEDIA[source]()


@dataclass(frozen=True, slots=True)
class PassContext:
    """What all jobs of one pass share."""

    sender: JobSender
    worker: RunningWorker
    inventory: EngineInventory


async def send_job(job: RealJob, mode: RequestMode, context: PassContext) -> JobResult:
    """Send one job, and compare the response with what the engine recorded since the request."""
    inventory, log = context.inventory, context.worker.log
    reason = inventory.reason_to_skip(job)
    if reason:
        return JobResult(job, mode, skipped=reason)
    log.take()  # what was recorded before this request is not part of it
    started = time.monotonic()
    body = job.body(inventory.input_files(job), context.worker.folders, by_url=mode is RequestMode.URL)
    answer = await context.sender(body)
    seconds = time.monotonic() - started
    inventory.add_delivered(job, answer)
    recorded = log.take()
    savers = {node for run in recorded.runs for node in inventory.savers(run)}
    if mode is RequestMode.EMBEDDED:
        # Expected outputs are those of a real ComfyUI. The embedded engine is compared with recordings elsewhere.
        lines = changed_bytes(answer, recorded, log.contents)
    else:
        lines = differences(job, answer, recorded, log.contents)
    lines += repeats(job, recorded, savers)
    if recorded.runs:
        lines += conversion_differences(job, recorded.runs[0])
    outputs = [(output.node, output.kind) for output in answer.outputs]
    return JobResult(job, mode, outputs, lines, recorded, seconds)


def repeated_nodes(before: JobResult, now: JobResult, inventory: EngineInventory) -> list[str]:
    """Return a sentence when nodes other than savers ran again for a repeated request.

    A job with input files is not checked, because its files get new names in each request.
    """
    if now.job.inputs or not before.log.runs or not now.log.runs:
        return []
    earlier_nodes = {node for run in before.log.runs for node in (*run.executed, *run.cached)}
    savers = {node for run in now.log.runs for node in inventory.savers(run)}
    executed = {node for run in now.log.runs for node in run.executed if node in earlier_nodes}
    repeated = sorted(executed - savers - set(now.job.uncached))
    return [f"executed again for a repeated request: {', '.join(repeated)}"] if repeated else []
