"""Runs a job again after ComfyUI has lost its prompt."""

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
    """Runs jobs on engines that may crash, hang or run out of memory.

    A prompt that ComfyUI has lost is sent again: any number of times if it was only waiting, and once if it ran. The
    second run is alone in ComfyUI, so that no other job is blamed for a crash. What counts against a job is the number
    of deaths of engines, not the number of prompts that they took.
    """

    def __init__(self, engines: EnginePool, crash_history: CrashHistory) -> None:
        self._engines = engines
        self._crash_history = crash_history
        self._deaths = EngineDeaths()

    async def run(
        self,
        job: Job,
        prompt: Prompt,
        on_message: OnMessage,
        submitted: Submitted = lambda _: None,
        options: SubmitOptions = DEFAULT_OPTIONS,
    ) -> Outputs:
        """Run a job's prepared prompt to its end and return the outputs that its nodes reported.

        `options` go to ComfyUI with each submission. Each submission has its own id, which is passed to `submitted`. A
        prompt that was submitted before a restart of the worker (`job.prompt_id`) is sent again only when its engine
        has lost it. When the calling task is cancelled, the prompt is removed from ComfyUI. Raises what `Engine.run`
        raises, and JobCrashesEngine.
        """
        attempts = self._begin(job, options)
        # The job's engine has the prompt already, or the cached results of the run that this submission continues.
        must_stay = attempts.earlier_prompt_id is not None or options.targets is not None
        while True:
            only = self._engines.named(job.engine) if must_stay else None
            started_at = time.monotonic()
            try:
                async with self._engines.place(job, only) as engine:
                    self._check_not_blocked(job.request)  # another job with its graph may have been blocked meanwhile
                    outputs = await engine.run(attempts, prompt, on_message, submitted)
            except PromptLostError as lost:
                submitted(None)
                must_stay = False
                may_have_ended = lost.loss in {PromptLoss.RUNNING, PromptLoss.WAITING}
                end = await _engine_end(job, engine, started_at) if may_have_ended else None
                # The first end is kept, unless a later one names the node.
                if end is not None and (end.node_id or attempts.end is None):
                    attempts.end = end
                self._record_loss(attempts, lost.loss, self._deaths.find_or_record(engine.name, attempts.submitted_at))
            else:
                self._crash_history.clear(job.request)
                return outputs

    def _begin(self, job: Job, options: SubmitOptions) -> Attempts:
        """Return the attempts of a job, with its submission by an earlier process of the worker if there was one.

        Raises JobCrashesEngine when the job is blocked.
        """
        has_crashed = self._check_not_blocked(job.request)
        attempts = Attempts(job.request, job.ref, options, alone=has_crashed)
        engine = self._engines.named(job.engine)
        if job.prompt_id is not None and engine is not None:
            attempts.earlier_prompt_id = attempts.prompt_id = job.prompt_id
            if engine.managed:  # its process ended with the earlier worker
                self._record_loss(attempts, PromptLoss.WAITING, self._deaths.earlier_id)
        return attempts

    def _check_not_blocked(self, request: JobRequest) -> bool:
        """Raise JobCrashesEngine when the job is blocked. Return whether ComfyUI has crashed while it ran."""
        record = self._crash_history.find(request)
        if record and record.is_blocked:
            cause = f": {record.cause}" if record.cause else ""
            raise JobCrashesEngine(f"this job has crashed ComfyUI before, so it is not run again for a while{cause}")
        return record is not None

    def _record_loss(self, attempts: Attempts, loss: PromptLoss, death: str) -> None:
        """Record a lost prompt, and decide how the job runs again. `death` is the id of the engine's death.

        Raises JobCrashesEngine when the job is to blame.
        """
        # The loss of an earlier process's submission was not observed: the machine may have caused it.
        observed = attempts.earlier_prompt_id is None or loss is PromptLoss.RUNNING
        attempts.earlier_prompt_id = None
        cause = attempts.end.message if attempts.end else ""
        suffix = f": {cause}" if cause else ""
        log.warning("ComfyUI lost a prompt that was %s; sending it again%s", loss, suffix)
        if attempts.record_loss(loss) or not observed:
            attempts.alone = True
            record = self._crash_history.add(
                attempts.request, attempts.prompt_id, death, observed=observed, cause=cause
            )
            if record.is_blocked:
                raise JobCrashesEngine(
                    f"ComfyUI crashed or hung each time this job ran{suffix}", [attempts.end] if attempts.end else ()
                )


async def _engine_end(job: Job, engine: Engine, started_at: float) -> Detail | None:
    """Return how ComfyUI ended while a job was on it, and the node that ran.

    Return None if it has not ended since `started_at`, or if the worker does not start ComfyUI.
    """
    engine_end = await engine.supervisor.end_since(started_at) if engine.supervisor is not None else None
    if engine_end is None:
        return None
    progress = job.progress
    if progress is None:
        return Detail(f"ComfyUI {engine_end.cause} before any node of the job ran")
    names = ", ".join(dict.fromkeys(filter(None, (progress.title, progress.class_type))))
    node = f"node {progress.node_id} ({names})" if names else f"node {progress.node_id}"
    return Detail(
        f"ComfyUI {engine_end.cause}, while {node} ran", progress.node_id, progress.title, progress.class_type or None
    )
