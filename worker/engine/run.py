"""One prompt that is followed to its end, by its WebSocket frames or, when they are lost, by polling."""

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
"""Callback for each message of a run."""
Outputs = dict[str, dict[str, Any]]
"""What the nodes of a run reported, by node id, in ComfyUI's own shape."""

FRAMELESS_POLL_S = 1.0
"""Seconds between two polls of a run that can receive no more frames, unless a `Status` arrives earlier."""
UNREACHABLE_RETRY_S = 0.5
"""Seconds between two requests while ComfyUI does not respond."""
MEMORY_ERRORS = frozenset({"OutOfMemoryError", "MemoryError", "AcceleratorError"})
"""Classes of exceptions that mean out of memory.

torch raises AcceleratorError for any error of the GPU. If the GPU still works afterwards, it was out of memory."""
ABSENT_S = 2.0
"""Seconds that a prompt may be in neither queue nor history before it counts as lost.

This applies while no end of ComfyUI was noticed, because ComfyUI may write its history late."""


class PromptLoss(StrEnum):
    """State of a prompt when ComfyUI lost it.

    NOT_ACCEPTED prompts never reached ComfyUI's queue. WAITING prompts had not started as far as the worker knows.
    RUNNING prompts had. EVICTED prompts waited behind a stuck node, and run again on another engine or after a restart
    of ComfyUI.
    """

    NOT_ACCEPTED = "not accepted"
    WAITING = "waiting"
    RUNNING = "running"
    EVICTED = "evicted"


class PromptLostError(Exception):
    """ComfyUI does not have the prompt any more, after a restart or because the prompt hung and was stopped."""

    def __init__(self, loss: PromptLoss) -> None:
        super().__init__(loss.value)
        self.loss = loss


@dataclass(slots=True)
class Run:
    """One submitted prompt and its progress.

    Normally frames arrive until `executing` with node None, and the outputs are those of the `executed` frames. After
    the WebSocket was lost, the run goes on `without_frames`: it polls ComfyUI at each broadcast `Status` and after a
    timeout. After a silence it polls as well, to distinguish a long node from a problem.
    """

    prompt_id: str
    prompt: Prompt
    api: ComfyApi
    socket: EngineSocket
    subscription: Subscription
    silence_s: float
    lost_s: float
    """Seconds that ComfyUI may be unreachable before the job fails with EngineUnavailable."""
    on_message: OnMessage
    submitted_at: float
    """Time on the monotonic clock, or 0 if an earlier process of the worker submitted the prompt."""
    options: SubmitOptions = DEFAULT_OPTIONS
    """Data that was sent with the prompt."""
    without_frames: bool = False
    """Whether no more frames of the prompt can arrive."""
    managed: bool = False
    """Whether this worker starts ComfyUI. A refused connection then means that its process has ended."""
    accepted: bool = True
    """Whether ComfyUI has accepted the prompt."""
    started: bool = False
    """Whether ComfyUI has started the prompt."""
    hung: bool = False
    """Whether the worker stops the prompt because it makes no progress."""
    succeeded: bool = False
    """Whether ComfyUI has reported success, which it does before the end."""
    unreadable_before: int = 0
    """Number of unreadable frames before the prompt was submitted."""
    absent_since: float | None = None
    """When ComfyUI was first seen without the prompt, on the monotonic clock."""

    async def follow(self) -> Outputs:
        """Follow the prompt to its end and return its outputs.

        Raises NodeFailed, OutOfMemory, RemovedByOperator, EngineUnavailable and PromptLostError.
        """
        outputs: Outputs = {}
        while True:
            message = await self._next()
            if isinstance(message, Executing) and message.node is None:
                return await self._completed(outputs)
            if message is None or (self.without_frames and isinstance(message, Status)):
                final_outputs = await self._poll()
                if final_outputs is not None:
                    return final_outputs
            else:
                self._handle(message, outputs)

    async def _completed(self, outputs: Outputs) -> Outputs:
        """Return the outputs of a run that has ended, with those in the history if a frame may have been lost.

        Raises the error that the history holds.
        """
        frame_lost = self.socket.unreadable_frames != self.unreadable_before
        if outputs and self.succeeded and not frame_lost:
            return outputs
        if frame_lost:
            self.on_message(FramesLost(self.prompt_id))
        history = None
        with suppress(EngineUnavailable):  # then the outputs of the frames are the result
            history = (await self.api.locate(self.prompt_id)).history
        return {**self._history_outputs(history), **outputs} if history is not None else outputs

    def _history_outputs(self, history: HistoryEntry) -> Outputs:
        """Return the outputs in a history entry. Raises the error that the entry holds."""
        if history.error is not None:
            raise failure(history.error, self.prompt, self.options.extra_data)
        if history.interrupted:
            raise self._interrupted()
        return history.outputs

    def _handle(self, message: RunMessage | Status | RunNotice, outputs: Outputs) -> None:
        """Handle one message. Outputs of a node are added to `outputs`. Raises the error that the message reports."""
        match message:
            case ExecutionError():
                self.on_message(message)
                raise failure(message, self.prompt, self.options.extra_data)
            case ExecutionInterrupted():
                self.on_message(message)
                raise self._interrupted()
            case SocketLost():
                self.without_frames = True
                self._check_process()
            case PromptHung():
                self.hung = True
            case EngineUnusable() | PromptEvicted():
                raise self._notice_error(message)
            case Status():
                pass
            case Executed(node=node, output=output):
                outputs[node] = dict(output)
                self.on_message(message)
            case _:
                self.started = True
                self.succeeded |= isinstance(message, ExecutionSuccess)
                self.on_message(message)

    def _notice_error(self, notice: EngineUnusable | PromptEvicted) -> Exception:
        """Return the error that a notice of the worker means for this run."""
        if isinstance(notice, EngineUnusable):
            return EngineUnavailable(notice.reason)
        return PromptLostError(PromptLoss.RUNNING if self.hung else PromptLoss.EVICTED)

    def _interrupted(self) -> Exception:
        """Return the error of an interrupted run."""
        if self.hung:
            return PromptLostError(PromptLoss.RUNNING)
        return RemovedByOperator("the job was interrupted in ComfyUI")

    async def _next(self) -> RunMessage | Status | RunNotice | None:
        """Return the next message, or None after a silence."""
        messages = self.subscription.messages
        if not messages.empty():  # most messages arrive together, and a timeout costs more than a message
            return messages.get_nowait()
        try:
            async with asyncio.timeout(FRAMELESS_POLL_S if self.without_frames else self.silence_s):
                return await messages.get()
        except TimeoutError:
            return None

    async def _poll(self) -> Outputs | None:
        """Return the outputs when the prompt has ended, or None while it has not."""
        located = await self._locate()
        if located.status is PromptStatus.ENDED:
            return await self._read_end(located)
        if located.status is PromptStatus.ABSENT:
            self._handle_absence()
            return None
        self.absent_since = None
        self.accepted = True
        self.started |= located.status is PromptStatus.RUNNING
        if not self.without_frames and self.socket.last_frame_at < self.submitted_at:
            # Not even the broadcast after the submission has arrived, so the socket receives nothing.
            await self.socket.reopen(self.subscription.client_id)
        return None

    def _handle_absence(self) -> None:
        """Raise RemovedByOperator or PromptLostError for a prompt that ComfyUI does not have, once that is certain."""
        if not self.without_frames:  # the end of the prompt would have been reported
            raise RemovedByOperator("the job was deleted from ComfyUI's queue")
        now = time.monotonic()
        self.absent_since = self.absent_since or now
        if self.socket.refused_at > self.submitted_at or now - self.absent_since >= ABSENT_S:
            raise PromptLostError(self.loss)

    def _check_process(self) -> None:
        """Raise PromptLostError when ComfyUI's process is known to have ended, without waiting for the next start."""
        if self.managed and self.socket.refused_at > self.submitted_at:
            raise PromptLostError(self.loss)

    @property
    def loss(self) -> PromptLoss:
        """State that the prompt was last known to have, for the error when ComfyUI has lost it."""
        if self.started:
            return PromptLoss.RUNNING
        return PromptLoss.WAITING if self.accepted else PromptLoss.NOT_ACCEPTED

    async def _read_end(self, located: LocatedPrompt) -> Outputs | None:
        """Return the outputs from the history of a prompt that has ended, or None to wait for its last frame.

        The first time, the frame may still arrive. The second time it is lost, and a new WebSocket is opened.
        """
        if not self.without_frames:
            # Wait for one more message, or for the shorter timeout of a run without frames.
            self.without_frames = True
            return None
        await self.socket.reopen(self.subscription.client_id)
        history = located.history
        if history is None:
            return {}
        self._replay_history(history)
        return self._history_outputs(history)

    def _replay_history(self, history: HistoryEntry) -> None:
        """Report messages in place of the lost ones: the start, the cached nodes and the end of the run."""
        self.on_message(FramesLost(self.prompt_id))
        self.on_message(ExecutionStart(self.prompt_id, history.started_at))
        if history.cached:
            self.on_message(ExecutionCached(self.prompt_id, history.cached))
        self.on_message(ExecutionSuccess(self.prompt_id, history.ended_at))

    async def _locate(self) -> LocatedPrompt:
        """Return where the prompt is. Retry until ComfyUI responds.

        Raises EngineUnavailable after `lost_s` seconds, and PromptLostError when ComfyUI's process has ended.
        """
        give_up_at = asyncio.get_running_loop().time() + self.lost_s
        while True:
            try:
                return await self.api.locate(self.prompt_id)
            except EngineUnavailable:
                if asyncio.get_running_loop().time() >= give_up_at:
                    raise
            self.without_frames = True
            self._check_process()
            await asyncio.sleep(UNREACHABLE_RETRY_S)


def failure(error: ExecutionError, prompt: Prompt, extra_data: Mapping[str, Any]) -> WorkerError:
    """Return the error for a node's exception: OutOfMemory or NodeFailed, by the exception's class.

    The message of the exception does not decide, because it may contain text that a client wrote.
    """
    class_name = error.exception_type.rsplit(".", 1)[-1]
    message = text_without_job_folders(without_key(error.exception_message, extra_data))
    text = f"{class_name}: {message[:1000]}"
    name = title(prompt, error.node_id) if error.node_id in prompt else None
    detail = Detail(text, error.node_id, name, error.node_type)
    error_type = OutOfMemory if class_name in MEMORY_ERRORS else NodeFailed
    return error_type(f"node {error.node_id} ({error.node_type}) raised {text}", [detail])
