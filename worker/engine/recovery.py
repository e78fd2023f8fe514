"""The ladder of recovery: what is tried, in which order, before a job is told that it failed."""

from __future__ import annotations

import logging

from worker.engine.crash_history import Case, CrashHistory, Submitted
from worker.engine.pool import EnginePool
from worker.engine.run import EngineForgotError, Hear, Loss, Outputs
from worker.errors import JobCrashesEngine
from worker.job import Job
from worker.workflow.prompt import Prompt

log = logging.getLogger(__name__)


class Recovery:
    """Runs jobs on engines that may crash, hang or be full.

    A prompt that ComfyUI lost is sent again, to the engine that is expected to finish it first: any number of times
    while it only waited, once if it ran. In that second try it runs alone, so that no other job is accused in its
    place. The crashes of a job are counted on all engines together.
    """

    def __init__(self, engines: EnginePool, crash_history: CrashHistory) -> None:
        self._engines = engines
        self._crash_history = crash_history

    async def run(self, job: Job, prompt: Prompt, hear: Hear, submitted: Submitted = lambda _: None) -> Outputs:
        """Run a job's prepared prompt to its end and return what its nodes reported.

        Cancel the task to take it out of ComfyUI, wherever it stands. Each submission has an id of its own, which
        `submitted` is told. One that an earlier life of this worker has submitted (`job.prompt_id`) is looked for on
        its engine, and sent only if that has forgotten it. Raises what `Engine.run` raises, and JobCrashesEngine.
        """
        case = self._opened(job)
        while True:
            only = self._engines.named(job.engine) if case.known_as else None
            try:
                async with self._engines.place(job, only) as engine:
                    outputs = await engine.run(case, prompt, hear, submitted)
            except EngineForgotError as lost:
                submitted(None)
                self._lost(case, lost.loss)
            else:
                self._crash_history.clear(job.request)
                return outputs

    def _opened(self, job: Job) -> Case:
        """Raises JobCrashesEngine."""
        record = self._crash_history.find(job.request)
        if record and record.convicted:
            raise JobCrashesEngine("this job has crashed ComfyUI before; it is not run again for a while")
        case = Case(job.request, alone=record is not None)
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
        log.warning("ComfyUI lost a prompt that was %s; sending it again", loss)
        if case.lost(loss) or not seen:
            case.alone = True
            if self._crash_history.add(case.request, case.prompt_id, seen=seen).convicted:
                raise JobCrashesEngine("ComfyUI crashed or hung each time this job ran")
