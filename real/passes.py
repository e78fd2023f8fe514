"""One pass over the jobs: each sent, its answer compared with what ComfyUI wrote meanwhile."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
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
    """How a request is made."""

    INLINE = "inline"
    URL = "by URL"
    AGAIN = "once more, its results expired"
    VAST = "through Vast's client"
    VAST_AGAIN = "through Vast's client, once more"
    EMBEDDED = "embedded engine"


@dataclass(frozen=True, slots=True)
class JobResult:
    """What one request came to. `outputs` are node and kind of each."""

    job: RealJob
    mode: RequestMode
    outputs: Sequence[tuple[str, str]] = ()
    differences: Sequence[str] = ()
    log: EngineLog = field(default_factory=lambda: EngineLog((), (), ()))
    seconds: float = 0.0
    skipped: str = ""


class EngineInventory:
    """What the catalog of an engine has, and the files that jobs have delivered."""

    def __init__(self, catalog: Catalog, text: str) -> None:
        self._catalog = catalog
        self._text = text
        self._delivered: dict[str, bytes] = {}

    def missing_parts(self, job: RealJob) -> str:
        """Why the job cannot be sent; empty where it can."""
        if missing := sorted(name for name in job.classes if name not in self._catalog):
            return f"not installed: {', '.join(missing)}"
        if missing := sorted(name for name in job.models if f'"{name}"' not in self._text):
            return f"no such model: {', '.join(missing)}"
        sources = (source.removeprefix(EARLIER) for source in job.inputs.values() if source.startswith(EARLIER))
        if missing := sorted(source for source in sources if source not in self._delivered):
            return f"the job before it delivered nothing: {', '.join(missing)}"
        return ""

    def files(self, job: RealJob) -> dict[str, str]:
        """The job's input files, base64."""
        return {name: base64.b64encode(self._file(source)).decode() for name, source in job.inputs.items()}

    def keep(self, job: RealJob, answer: JobAnswer) -> None:
        """For jobs that read what this one made."""
        content = next((output.content for output in answer.outputs if output.content is not None), None)
        if content is not None:
            self._delivered.setdefault(job.name, content)

    def savers(self, run: RecordedRun) -> set[str]:
        """Nodes of the prompt whose class is an output node."""
        return {
            node_id
            for node_id, node in run.prompt.items()
            if self._catalog.get(node["class_type"], {}).get("output_node")
        }

    def _file(self, source: str) -> bytes:
        if source.startswith(EARLIER):
            return self._delivered[source.removeprefix(EARLIER)]
        return MEDIA[source]()


@dataclass(frozen=True, slots=True)
class PassContext:
    """Where jobs of a pass are sent."""

    sender: JobSender
    worker: RunningWorker
    inventory: EngineInventory


async def send_job(job: RealJob, mode: RequestMode, context: PassContext) -> JobResult:
    """Send one job, and compare. What ComfyUI did before is not its own."""
    inventory, log = context.inventory, context.worker.log
    if reason := inventory.missing_parts(job):
        return JobResult(job, mode, skipped=reason)
    log.take()
    started = time.monotonic()
    body = job.body(inventory.files(job), context.worker.folders, by_url=mode is RequestMode.URL)
    answer = await context.sender(body)
    seconds = time.monotonic() - started
    inventory.keep(job, answer)
    taken = log.take()
    savers = {node for run in taken.runs for node in inventory.savers(run)}
    # What the embedded engine makes is compared with the recordings: it knows no pack's texts and sizes.
    compare = partial(changed_bytes, answer) if mode is RequestMode.EMBEDDED else partial(differences, job, answer)
    unlike = conversion_differences(job, taken.runs[0]) if taken.runs else ()
    found = [*compare(taken, log.contents), *repeats(job, taken, savers), *unlike]
    outputs = [(one.node, one.kind) for one in answer.outputs]
    return JobResult(job, mode, outputs, found, taken, seconds)


def repeated_nodes(before: JobResult, now: JobResult, inventory: EngineInventory) -> list[str]:
    """Nodes but savers that ran for a request and again for its repetition. Input files have a new name each time."""
    if now.job.inputs or not before.log.runs or not now.log.runs:
        return []
    ran = {node for run in before.log.runs for node in (*run.executed, *run.cached)}
    savers = {node for run in now.log.runs for node in inventory.savers(run)}
    executed = {node for run in now.log.runs for node in run.executed if node in ran}
    again = sorted(executed - savers - set(now.job.uncached))
    return [f"executed again for a repeated request: {', '.join(again)}"] if again else []
