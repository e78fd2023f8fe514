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
from real.conversions import unlike_the_editors
from real.engine_log import EngineLog, Run
from real.jobs import EARLIER, RealJob
from real.media import MEDIA
from real.sending import Sender
from real.stage import Stage

Catalog = Mapping[str, Mapping[str, Any]]


class Way(StrEnum):
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
    way: Way
    outputs: Sequence[tuple[str, str]] = ()
    differences: Sequence[str] = ()
    log: EngineLog = field(default_factory=lambda: EngineLog((), (), ()))
    seconds: float = 0.0
    skipped: str = ""


class Repertoire:
    """What the catalog of an engine has, and the files that jobs have delivered."""

    def __init__(self, catalog: Catalog, text: str) -> None:
        self._catalog = catalog
        self._text = text
        self._delivered: dict[str, bytes] = {}

    def lacking(self, job: RealJob) -> str:
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

    def savers(self, run: Run) -> set[str]:
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
class Place:
    """Where jobs of a pass are sent."""

    sender: Sender
    stage: Stage
    repertoire: Repertoire


async def play(job: RealJob, way: Way, place: Place) -> JobResult:
    """Send one job, and compare. What ComfyUI did before is not its own."""
    repertoire, log = place.repertoire, place.stage.log
    if reason := repertoire.lacking(job):
        return JobResult(job, way, skipped=reason)
    log.take()
    started = time.monotonic()
    body = job.body(repertoire.files(job), place.stage.folders, by_url=way is Way.URL)
    answer = await place.sender(body)
    seconds = time.monotonic() - started
    repertoire.keep(job, answer)
    taken = log.take()
    savers = {node for run in taken.runs for node in repertoire.savers(run)}
    # What the embedded engine makes is compared with the recordings: it knows no pack's texts and sizes.
    compare = partial(changed_bytes, answer) if way is Way.EMBEDDED else partial(differences, job, answer)
    unlike = unlike_the_editors(job, taken.runs[0]) if taken.runs else ()
    found = [*compare(taken, log.contents), *repeats(job, taken, savers), *unlike]
    outputs = [(one.node, one.kind) for one in answer.outputs]
    return JobResult(job, way, outputs, found, taken, seconds)


def ran_again(before: JobResult, now: JobResult, repertoire: Repertoire) -> list[str]:
    """Nodes but savers that ran for a request and again for its repetition. Input files have a new name each time."""
    if now.job.inputs or not before.log.runs or not now.log.runs:
        return []
    ran = {node for run in before.log.runs for node in (*run.executed, *run.cached)}
    savers = {node for run in now.log.runs for node in repertoire.savers(run)}
    executed = {node for run in now.log.runs for node in run.executed if node in ran}
    again = sorted(executed - savers - set(now.job.uncached))
    return [f"executed again for a repeated request: {', '.join(again)}"] if again else []
