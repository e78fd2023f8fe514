"""One prompt followed to its end: by its events as long as they come, by asking where it is when they don't."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from worker.engine.api_key import without_key
from worker.engine.protocol.api import DEFAULT_OPTIONS, ComfyApi, LocatedPrompt, PromptStatus, SubmitOptions
from worker.engine.protocol.messages import (
    Executed,
    Executing,
    ExecutionCached,
    ExecutionError,
    ExecutionInterrupted,
    ExecutionStart,
    ExecutionSuccess,
    FramesLost,
    RunMessage,
    Status,
)
from worker.engine.protocol.responses import HistoryEntry
from worker.engine.protocol.websocket import (
    EngineSocket,
    EngineUnusable,
    PromptEvicted,
    PromptHung,
    RunNotice,
    SocketLost,
    Subscription,
)
from worker.errors import Detail, EngineUnavailable, NodeFailed, OutOfMemory, RemovedByOperator, WorkerError
from worker.workflow.catalog.job_folders import text_without_job_folders
from worker.workflow.prompt import Prompt, title

OnMessage = Callable[[RunMessage], None]
Outputs = dict[str, dict[str, Any]]
"""What the nodes of a run reported, by node id, in ComfyUI's own shape."""

DEAF_POLL_S = 1.0
"""How often a run without events asks, when no `Status` of another job wakes it sooner."""
UNREACHABLE_RETRY_S = 0.5
MEMORY_ERRORS = frozenset({"OutOfMemoryError", "MemoryError", "AcceleratorError"})
"""The last is torch's for any error of the GPU; of those that leave it working, running out of memory is the one."""
ABSENT_S = 2.0
"""How long a prompt may be in neither queue nor history before it counts as forgotten, where no end of ComfyUI was
noticed: a history may be late."""


class PromptLoss(StrEnum):
    """How far ComfyUI had come with a prompt that it lost: not even taken, waiting as far as we know, or running.

    PromptEvicted: it waited behind a stuck node, and ComfyUI was killed because of that or another engine was free.
    """

    UNTAKEN = "untaken"
    WAITING = "waiting"
    RUNNING = "running"
    EVICTED = "evicted"


class PromptLostError(Exception):
    """ComfyUI was restarted, or stopped the prompt because it hung, and knows nothing of it any more."""

    def __init__(self, loss: PromptLoss) -> None:
        super().__init__(loss.value)
        self.loss = loss


@dataclass(slots=True)
class Run:
    """Follows one submitted prompt.

    Healthy: frames come, the end is `executing` with node None, and the outputs are those of the `executed` frames.
    The socket broke (`deaf`): frames will never come again, so each broadcast `Status` of the new socket, and the
    clock, make it ask. Silent: a long node, or one of ComfyUI's traps; asking tells which.
    """

    prompt_id: str
    prompt: Prompt
    api: ComfyApi
    socket: EngineSocket
    subscription: Subscription
    silence_s: float
    lost_s: float
    """How long ComfyUI may be out of reach before the job is given up."""
    hear: OnMessage
    submitted_at: float
    """On the monotonic clock; 0 where it was in an earlier life of this worker."""
    options: SubmitOptions = DEFAULT_OPTIONS
    """What was sent beside the prompt."""
    deaf: bool = False
    managed: bool = False
    """True where this worker starts ComfyUI: once nobody listens there, its process and all its prompts are gone."""
    taken: bool = True
    started: bool = False
    hung: bool = False
    succeeded: bool = False
    """Whether ComfyUI said so; it sends that before the end."""
    garbled_before: int = 0
    """Frames of another shape before the prompt was submitted."""
    absent_since: float | None = None

    async def follow(self) -> Outputs:
        """Returns the outputs.

        Raises NodeFailed, OutOfMemory, RemovedByOperator, EngineUnavailable, PromptLostError.
        """
        outputs: Outputs = {}
        while True:
            message = await self._next()
            if isinstance(message, Executing) and message.node is None:
                return await self._completed(outputs)
            if message is None or (self.deaf and isinstance(message, Status)):
                found = await self._ask()
                if found is not None:
                    return found
            else:
                self._take(message, outputs)

    async def _completed(self, outputs: Outputs) -> Outputs:
        """Return what the nodes reported; ComfyUI is asked where a frame that said so may not have arrived."""
        garbled = self.socket.garbled != self.garbled_before
        if outputs and self.succeeded and not garbled:
            return outputs
        if garbled:
            self.hear(FramesLost(self.prompt_id))
        history = None
        with suppress(EngineUnavailable):  # then it is what was heard
            history = (await self.api.locate(self.prompt_id)).history
        return {**self._outcome(history), **outputs} if history is not None else outputs

    def _outcome(self, history: HistoryEntry) -> Outputs:
        if history.error is not None:
            raise failure(history.error, self.prompt, self.options.extra_data)
        if history.interrupted:
            raise self._interrupted()
        return history.outputs

    def _take(self, message: RunMessage | Status | RunNotice, outputs: Outputs) -> None:
        match message:
            case ExecutionError():
                self.hear(message)
                raise failure(message, self.prompt, self.options.extra_data)
            case ExecutionInterrupted():
                self.hear(message)
                raise self._interrupted()
            case SocketLost():
                self.deaf = True
                self._check_process()
            case PromptHung():
                self.hung = True
            case EngineUnusable() | PromptEvicted():
                raise self._ended_by(message)
            case Status():
                pass
            case Executed(node=node, output=output):
                outputs[node] = dict(output)
                self.hear(message)
            case _:
                self.started = True
                self.succeeded |= isinstance(message, ExecutionSuccess)
                self.hear(message)

    def _ended_by(self, note: EngineUnusable | PromptEvicted) -> Exception:
        if isinstance(note, EngineUnusable):
            return EngineUnavailable(note.why)
        return PromptLostError(PromptLoss.RUNNING if self.hung else PromptLoss.EVICTED)

    def _interrupted(self) -> Exception:
        if self.hung:
            return PromptLostError(PromptLoss.RUNNING)
        return RemovedByOperator("the job was interrupted inside ComfyUI")

    async def _next(self) -> RunMessage | Status | RunNotice | None:
        """The next thing heard, or None after a silence."""
        messages = self.subscription.messages
        if not messages.empty():  # most come in one packet with others, and a clock takes longer than they do
            return messages.get_nowait()
        try:
            async with asyncio.timeout(DEAF_POLL_S if self.deaf else self.silence_s):
                return await messages.get()
        except TimeoutError:
            return None

    async def _ask(self) -> Outputs | None:
        """Outputs when the prompt has ended, None while it is under way."""
        there = await self._locate()
        if there.place is PromptStatus.ENDED:
            return await self._end_unheard(there)
        if there.place is PromptStatus.ABSENT:
            self._absent()
            return None
        self.absent_since = None
        self.taken = True
        self.started |= there.place is PromptStatus.RUNNING
        if not self.deaf and self.socket.heard_at < self.submitted_at:
            # Even the broadcast of our own submission did not arrive.
            await self.socket.reopen(self.subscription.client_id)
        return None

    def _absent(self) -> None:
        if not self.deaf:
            raise RemovedByOperator("the job was deleted from ComfyUI's queue")
        now = time.monotonic()
        self.absent_since = self.absent_since or now
        if self.socket.refused_at > self.submitted_at or now - self.absent_since >= ABSENT_S:
            raise PromptLostError(self.loss)

    def _check_process(self) -> None:
        """Raise PromptLostError without waiting for the next start, where the process is known to have ended."""
        if self.managed and self.socket.refused_at > self.submitted_at:
            raise PromptLostError(self.loss)

    @property
    def loss(self) -> PromptLoss:
        return PromptLoss.RUNNING if self.started else PromptLoss.WAITING if self.taken else PromptLoss.UNTAKEN

    async def _end_unheard(self, there: LocatedPrompt) -> Outputs | None:
        if not self.deaf:
            # It may have ended just now, its last frame on the way: give that one more turn of the loop.
            self.deaf = True
            return None
        await self.socket.reopen(self.subscription.client_id)
        history = there.history
        if history is None:
            return {}
        self._hear_again(history)
        return self._outcome(history)

    def _hear_again(self, history: HistoryEntry) -> None:
        """Tell what was not heard of when the run began and ended, and of what ComfyUI did not run."""
        self.hear(FramesLost(self.prompt_id))
        self.hear(ExecutionStart(self.prompt_id, history.started_at))
        if history.cached:
            self.hear(ExecutionCached(self.prompt_id, history.cached))
        self.hear(ExecutionSuccess(self.prompt_id, history.ended_at))

    async def _locate(self) -> LocatedPrompt:
        """Ask until ComfyUI answers. Raises EngineUnavailable when it stays away for `lost_s`."""
        give_up_at = asyncio.get_running_loop().time() + self.lost_s
        while True:
            try:
                return await self.api.locate(self.prompt_id)
            except EngineUnavailable:
                if asyncio.get_running_loop().time() >= give_up_at:
                    raise
            self.deaf = True
            self._check_process()
            await asyncio.sleep(UNREACHABLE_RETRY_S)


def failure(error: ExecutionError, prompt: Prompt, extra_data: Mapping[str, Any]) -> WorkerError:
    """What a node's exception means, by its type alone: its message may be text that a client wrote."""
    kind = error.exception_type.rsplit(".", 1)[-1]
    message = text_without_job_folders(without_key(error.exception_message, extra_data))
    text = f"{kind}: {message[:1000]}"
    name = title(prompt, error.node_id) if error.node_id in prompt else None
    detail = Detail(text, error.node_id, name, error.node_type)
    failed = OutOfMemory if kind in MEMORY_ERRORS else NodeFailed
    return failed(f"node {error.node_id} ({error.node_type}) raised {text}", [detail])
