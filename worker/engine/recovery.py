"""How a job that ComfyUI lost runs again, and the history of the jobs that ComfyUI crashed or hung under.

A job is known by what it runs and not by its id, also after a restart of the worker.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from worker.engine.client import Submitted
from worker.engine.engine import Case, Engine
from worker.engine.pool import EnginePool
from worker.engine.protocol.api import DEFAULT_OPTIONS, SubmitOptions
from worker.engine.run import EngineForgotError, Hear, Loss, Outputs
from worker.errors import Detail, JobCrashesEngine
from worker.job import Job, JobRequest
from worker.workflow.prompt import Prompt

log = logging.getLogger(__name__)

SEEN = 2
"""Crashes of ComfyUI after which a job is not run again, where this worker saw each of them."""
IN_ALL = 3
"""The same, counting also those in which the worker died too: the cause may have been the machine."""


@dataclass(slots=True)
class CrashRecord:
    """The crashes of one job by prompt id, true where this worker saw it; `at` is the last one, in epoch seconds."""

    crashes: dict[str, bool] = field(default_factory=dict)
    at: float = 0.0
    cause: str = ""
    """How ComfyUI ended the last time, and at which node, as far as that is known."""

    @property
    def convicted(self) -> bool:
        return sum(self.crashes.values()) >= SEEN or len(self.crashes) >= IN_ALL


def fingerprint(request: JobRequest) -> str:
    """Of what runs: the graph without its titles, and the files that came with it."""
    graph = {
        node_id: {key: value for key, value in node.items() if key != "_meta"}
        for node_id, node in request.prompt.items()
    }
    digest = hashlib.sha256(orjson.dumps(graph, option=orjson.OPT_SORT_KEYS))
    for file in request.inputs:
        digest.update(file.name.encode() + b"\0" + bytes.fromhex(file.sha256))
    return digest.hexdigest()


class CrashHistory:
    """A small file, written at each crash, so that a job can't take down one life of this worker after the other."""

    def __init__(self, path: Path, memory_s: float) -> None:
        self._path = path
        self._memory_s = memory_s
        self._records = _read(path)

    def find(self, request: JobRequest) -> CrashRecord | None:
        """The crashes of this job, if any are remembered. Costs nothing as long as there are none at all."""
        oldest = time.time() - self._memory_s
        self._records = {name: record for name, record in self._records.items() if record.at > oldest}
        return self._records.get(fingerprint(request)) if self._records else None

    def add(self, request: JobRequest, prompt_id: str, *, seen: bool, cause: str = "") -> CrashRecord:
        """Remember a crash; the same one is not counted twice."""
        record = self._records.setdefault(fingerprint(request), CrashRecord())
        record.crashes[prompt_id] = seen or record.crashes.get(prompt_id, False)
        record.at = time.time()
        record.cause = cause or record.cause
        self._write()
        return record

    def clear(self, request: JobRequest) -> None:
        """It ran through: it was not the job."""
        name = fingerprint(request) if self._records else ""
        if name in self._records:
            del self._records[name]
            self._write()

    def _write(self) -> None:
        new = self._path.with_suffix(".new")
        try:
            new.write_bytes(orjson.dumps(self._records))
            new.replace(self._path)
        except OSError as error:
            log.warning("crashes can't be remembered in %s: %s", self._path, error)


class Recovery:
    """Runs jobs on engines that may crash, hang or be full.

    A prompt that ComfyUI lost is sent again, to the engine that is expected to finish it first: any number of times
    while it only waited, once if it ran. In that second try it runs alone, so that no other job is accused in its
    place. The crashes of a job are counted on all engines together.
    """

    def __init__(self, engines: EnginePool, crash_history: CrashHistory) -> None:
        self._engines = engines
        self._crash_history = crash_history

    async def run(
        self,
        job: Job,
        prompt: Prompt,
        hear: Hear,
        submitted: Submitted = lambda _: None,
        options: SubmitOptions = DEFAULT_OPTIONS,
    ) -> Outputs:
        """Run a job's prepared prompt to its end and return what its nodes reported.

        `options` go to ComfyUI with it, each time that it is sent.

        Cancel the task to take it out of ComfyUI, wherever it stands. Each submission has an id of its own, which
        `submitted` is told. One that an earlier life of this worker has submitted (`job.prompt_id`) is looked for on
        its engine, and sent only if that has forgotten it. Raises what `Engine.run` raises, and JobCrashesEngine.
        """
        case = self._opened(job, options)
        there = case.known_as is not None or options.targets is not None  # where ComfyUI has the rest of it
        while True:
            only = self._engines.named(job.engine) if there else None
            began = time.monotonic()
            try:
                async with self._engines.place(job, only) as engine:
                    outputs = await engine.run(case, prompt, hear, submitted)
            except EngineForgotError as lost:
                submitted(None)
                there = False
                end = await _end(job, engine, began) if lost.loss in {Loss.RUNNING, Loss.WAITING} else None
                if end is not None and (end.node_id or case.end is None):
                    case.end = end
                self._lost(case, lost.loss)
            else:
                self._crash_history.clear(job.request)
                return outputs

    def _opened(self, job: Job, options: SubmitOptions) -> Case:
        """Raises JobCrashesEngine."""
        record = self._crash_history.find(job.request)
        if record and record.convicted:
            why = f": {record.cause}" if record.cause else ""
            raise JobCrashesEngine(f"this job has crashed ComfyUI before; it is not run again for a while{why}")
        case = Case(job.request, job.ref, job.workload, options, alone=record is not None)
        engine = self._engines.named(job.engine)
        if job.prompt_id is not None and engine is not None:
            case.known_as = case.prompt_id = job.prompt_id
            if engine.kept:  # it ended with the worker that had sent the prompt
                self._lost(case, Loss.WAITING)
        return case

    def _lost(self, case: Case, loss: Loss) -> None:
        """Decide what a loss means for the job. Raises JobCrashesEngine."""
        seen = case.known_as is None or loss is Loss.RUNNING
        case.known_as = None
        cause = case.end.message if case.end else ""
        why = f": {cause}" if cause else ""
        log.warning("ComfyUI lost a prompt that was %s; sending it again%s", loss, why)
        if case.lost(loss) or not seen:
            case.alone = True
            if self._crash_history.add(case.request, case.prompt_id, seen=seen, cause=cause).convicted:
                raise JobCrashesEngine(
                    f"ComfyUI crashed or hung each time this job ran{why}", [case.end] if case.end else ()
                )


async def _end(job: Job, engine: Engine, began: float) -> Detail | None:
    """Return how ComfyUI ended under a job, with the node that ran; None where the worker does not start it."""
    found = await engine.supervisor.end_since(began) if engine.supervisor is not None else None
    if found is None:
        return None
    now = job.progress
    if now is None:
        return Detail(f"ComfyUI {found.cause}, before a node of the job was seen to run")
    names = ", ".join(dict.fromkeys(filter(None, (now.title, now.class_type))))
    where = f"node {now.node_id} ({names})" if names else f"node {now.node_id}"
    return Detail(f"ComfyUI {found.cause}, while {where} ran", now.node_id, now.title, now.class_type or None)


def _read(path: Path) -> dict[str, CrashRecord]:
    try:
        found = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        log.warning("crashes of earlier lives are forgotten: %s can't be read (%s)", path, error)
        return {}
    records = found if isinstance(found, dict) else {"": found}
    read = {name: record for name, value in records.items() if (record := _record(value)) is not None}
    if len(read) < len(records):
        log.warning(
            "%d of %d records in %s can't be read and are forgotten", len(records) - len(read), len(records), path
        )
    return read


def _record(found: object) -> CrashRecord | None:
    """Return a stored record, None for anything else. Fields that a later release adds are ignored."""
    if not isinstance(found, dict):
        return None
    crashes, at, cause = found.get("crashes"), found.get("at"), found.get("cause", "")
    if not isinstance(crashes, dict) or not all(isinstance(seen, bool) for seen in crashes.values()):
        return None
    if isinstance(at, bool) or not isinstance(at, int | float) or not isinstance(cause, str):
        return None
    return CrashRecord(crashes, float(at), cause)
