"""The ladder of recovery: what is tried, in which order, before a job is told that it failed."""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from dataclasses import dataclass

from worker.engine.client import ComfyClient, Submitted
from worker.engine.crash_history import CrashHistory
from worker.engine.exclusive_lock import ExclusiveLock
from worker.engine.process.supervisor import Supervisor
from worker.engine.run import EngineForgotError, Hear, Loss, Outputs
from worker.errors import EngineUnavailable, GpuFailed, JobCrashesEngine, NodeFailed, OutOfMemory
from worker.job import JobRequest
from worker.workflow.prompt import Prompt

log = logging.getLogger(__name__)

UNSURE = 2
"""A job lost so often while it seemed to wait runs alone: it may have crashed ComfyUI before that said a word."""


@dataclass(slots=True)
class Case:
    """What is known of a job on its way: `alone` where it may be the one that crashes ComfyUI."""

    request: JobRequest
    alone: bool = False
    waiting_losses: int = 0
    freed: bool = False

    def lost(self, loss: Loss) -> bool:
        """Whether the loss counts against the job; nobody else was inside where it ran alone."""
        counts = loss is Loss.RUNNING or (loss is Loss.WAITING and self.alone)
        self.waiting_losses += loss is Loss.WAITING
        self.alone |= counts or self.waiting_losses >= UNSURE
        return counts


class Recovery:
    """Runs jobs on an engine that may crash, hang or be full.

    A prompt that ComfyUI lost is sent again: any number of times while it only waited, once if it ran. In that second
    try it runs alone, so that no other job is accused in its place. `supervisor` is None where somebody else keeps the
    engine running.
    """

    def __init__(self, client: ComfyClient, supervisor: Supervisor | None, crash_history: CrashHistory) -> None:
        self._client = client
        self._supervisor = supervisor
        self._crash_history = crash_history
        self._exclusive_lock = ExclusiveLock()

    @property
    def name(self) -> str:
        """The engine's, in events."""
        return self._client.socket.name

    async def run(
        self,
        request: JobRequest,
        prompt: Prompt,
        hear: Hear,
        *,
        submitted: Submitted = lambda _: None,
        known_as: str | None = None,
    ) -> Outputs:
        """Run a job's prepared prompt to its end and return what its nodes reported.

        Cancel the task to take it out of ComfyUI, wherever it stands. Each submission has an id of its own, which
        `submitted` is told. One that an earlier life of this worker has submitted is `known_as` that id, and sent
        only if ComfyUI has forgotten it. Raises what `ComfyClient.follow` raises, and JobCrashesEngine.
        """
        case = self._opened(request)
        while True:
            # Never the job's id: ComfyUI takes UUIDs only, and its worker thread dies of an id used twice.
            prompt_id = known_as or str(uuid.uuid4())
            try:
                async with self._exclusive_lock.inside(alone=case.alone):
                    outputs = await self._attempt(prompt, hear, prompt_id, submitted, known=known_as is not None)
            except EngineForgotError as lost:
                self._lost(case, prompt_id, lost.loss, seen=known_as is None or lost.loss is Loss.RUNNING)
            except OutOfMemory:
                if case.freed:
                    raise
                log.warning("ComfyUI ran out of memory; trying once more with nothing else in it")
                case.freed = True
                with suppress(EngineUnavailable):  # then it forgets everything by itself
                    await self._client.api.free()
            else:
                self._crash_history.clear(request)
                return outputs
            known_as = None

    def _opened(self, request: JobRequest) -> Case:
        record = self._crash_history.find(request)
        if record and record.convicted:
            raise JobCrashesEngine("this job has crashed ComfyUI before; it is not run again for a while")
        return Case(request, alone=record is not None)

    async def _attempt(
        self, prompt: Prompt, hear: Hear, prompt_id: str, submitted: Submitted, *, known: bool
    ) -> Outputs:
        try:
            return await self._client.follow(prompt, hear, prompt_id, submitted=submitted, known=known)
        except (NodeFailed, OutOfMemory) as error:
            if await self._gpu_answers():
                raise
            if self._supervisor is None:
                raise GpuFailed("ComfyUI's GPU does not answer any more") from error
            self._supervisor.restart("its GPU does not answer any more", check_gpu=True)
            raise EngineForgotError(Loss.RUNNING) from error

    async def _gpu_answers(self) -> bool:
        """A failure while ComfyUI itself is going down says nothing of the job: that one runs again."""
        try:
            return await self._client.api.gpu_answers()
        except EngineUnavailable:
            raise EngineForgotError(Loss.UNTAKEN) from None

    def _lost(self, case: Case, prompt_id: str, loss: Loss, *, seen: bool) -> None:
        """Decide what a loss means for the job. Raises JobCrashesEngine."""
        log.warning("ComfyUI lost a prompt that was %s; sending it again", loss)
        if case.lost(loss) or not seen:
            case.alone = True
            if self._crash_history.add(case.request, prompt_id, seen=seen).convicted:
                raise JobCrashesEngine("ComfyUI crashed or hung each time this job ran")
