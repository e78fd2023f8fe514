"""How a job that ComfyUI lost runs again."""

from __future__ import annotations

import logging
import time

from worker.engine.client import Submitted
from worker.engine.crashes.attempts import Attempts
from worker.engine.crashes.deaths import EngineDeaths
from worker.engine.crashes.history import CrashHistory
from worker.engine.engine import Engine
from worker.engine.pool import EnginePool
from worker.engine.protocol.api import DEFAULT_OPTIONS, SubmitOptions
from worker.engine.run import OnMessage, Outputs, PromptLoss, PromptLostError
from worker.errors import Detail, JobCrashesEngine
from worker.job import Job, JobRequest
from worker.workflow.prompt import Prompt

log = logging.getLogger(__name__)


class Recovery:
    """Runs jobs on engines that may crash, hang or be full.

    A prompt that ComfyUI lost is sent again, to the engine that is expected to finish it first: any number of times
    while it only waited, once if it ran. In that second try it runs alone, so that no other job is accused in its
    place. What is counted against a job are the deaths of all engines together, and not the prompts that each took.
    """

    def __init__(self, engines: EnginePool, crash_history: CrashHistory) -> None:
        self._engines = engines
        self._crash_history = crash_history
        self._deaths = EngineDeaths()

    async def run(
        self,
        job: Job,
        prompt: Prompt,
        hear: OnMessage,
        submitted: Submitted = lambda _: None,
        options: SubmitOptions = DEFAULT_OPTIONS,
    ) -> Outputs:
        """Run a job's prepared prompt to its end and return what its nodes reported.

        `options` go to ComfyUI with it, each time that it is sent.

        Cancel the task to take it out of ComfyUI, wherever it stands. Each submission has an id of its own, which
        `submitted` is told. One that an earlier life of this worker has submitted (`job.prompt_id`) is looked for on
        its engine, and sent only if that has forgotten it. Raises what `Engine.run` raises, and JobCrashesEngine.
        """
        attempts = self._opened(job, options)
        there = attempts.known_as is not None or options.targets is not None  # where ComfyUI has the rest of it
        while True:
            only = self._engines.named(job.engine) if there else None
            began = time.monotonic()
            try:
                async with self._engines.place(job, only) as engine:
                    self._check(job.request)  # while it waited, another job with its graph may have been blocked
                    outputs = await engine.run(attempts, prompt, hear, submitted)
            except PromptLostError as lost:
                submitted(None)
                there = False
                end = await _end(job, engine, began) if lost.loss in {PromptLoss.RUNNING, PromptLoss.WAITING} else None
                if end is not None and (end.node_id or attempts.end is None):
                    attempts.end = end
                self._lost(attempts, lost.loss, self._deaths.name(engine.name, attempts.submitted_at))
            else:
                self._crash_history.clear(job.request)
                return outputs

    def _opened(self, job: Job, options: SubmitOptions) -> Attempts:
        """Raises JobCrashesEngine."""
        suspect = self._check(job.request)
        attempts = Attempts(job.request, job.ref, job.workload, options, alone=suspect)
        engine = self._engines.named(job.engine)
        if job.prompt_id is not None and engine is not None:
            attempts.known_as = attempts.prompt_id = job.prompt_id
            if engine.managed:  # it ended with the worker that had sent the prompt
                self._lost(attempts, PromptLoss.WAITING, self._deaths.earlier)
        return attempts

    def _check(self, request: JobRequest) -> bool:
        """Return whether ComfyUI has crashed under this job. Raises JobCrashesEngine where it is not run again."""
        record = self._crash_history.find(request)
        if record and record.is_blocked:
            why = f": {record.cause}" if record.cause else ""
            raise JobCrashesEngine(f"this job has crashed ComfyUI before; it is not run again for a while{why}")
        return record is not None

    def _lost(self, attempts: Attempts, loss: PromptLoss, death: str) -> None:
        """Decide what a loss means for the job. `death` took its prompt. Raises JobCrashesEngine."""
        seen = attempts.known_as is None or loss is PromptLoss.RUNNING
        attempts.known_as = None
        cause = attempts.end.message if attempts.end else ""
        why = f": {cause}" if cause else ""
        log.warning("ComfyUI lost a prompt that was %s; sending it again%s", loss, why)
        if attempts.lost(loss) or not seen:
            attempts.alone = True
            if self._crash_history.add(attempts.request, attempts.prompt_id, death, seen=seen, cause=cause).is_blocked:
                raise JobCrashesEngine(
                    f"ComfyUI crashed or hung each time this job ran{why}", [attempts.end] if attempts.end else ()
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
