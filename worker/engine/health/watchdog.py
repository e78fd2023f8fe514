"""Watches one engine: it has to respond, to run what is queued, and to make progress with what runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

from worker.engine.health.silence_limits import SilenceLimits
from worker.engine.process.supervisor import Supervisor
from worker.engine.protocol.api import ComfyApi, QueueSnapshot
from worker.engine.protocol.messages import Executing, RunMessage
from worker.engine.protocol.websocket import EngineSocket, EngineUnusable, PromptEvicted, PromptHung
from worker.errors import EngineUnavailable
from worker.settings import ComfySettings, LimitSettings
from worker.supervision import Tasks, stop
from worker.workflow.prompt import Prompt

log = logging.getLogger(__name__)

STALLED_POLLS = 3
"""Number of polls in a row with waiting prompts and none running that mean ComfyUI's worker thread is dead."""


class EngineProblem(StrEnum):
    """A problem of an engine, in words for log and messages.

    An UNRESPONSIVE engine does not respond. A STALLED engine runs nothing. A STUCK engine runs a node that makes no
    progress. An UNSTOPPABLE engine runs such a node, and an interrupt did not stop it.
    """

    UNRESPONSIVE = "it does not respond"
    STALLED = "it accepts prompts but runs none"
    STUCK = "a node makes no progress"
    UNSTOPPABLE = "a node makes no progress and cannot be stopped"


@dataclass(slots=True)
class Running:
    """The prompt that ComfyUI runs, and the time of its last sign of progress."""

    prompt_id: str
    last_frame_at: float
    node: str | None = None
    classes: Mapping[str, str] = field(default_factory=dict)
    receives_frames: bool = True
    """Whether this worker receives the prompt's frames."""
    stop_requested_at: float | None = None

    def stop_s(self, silence_limits: SilenceLimits) -> float:
        """Return the seconds that the prompt may run after an interrupt.

        If the running node is not known, the class with the longest limit counts.
        """
        class_type = self.classes.get(self.node or "")
        if class_type is None:
            return silence_limits.after_interrupt(*self.classes.values())
        return silence_limits.after_interrupt(class_type)

    def allowed_silence_s(self, silence_limits: SilenceLimits) -> float:
        """Return the seconds that the prompt may be silent.

        Between two nodes, and in a node that another node created, the class with the longest limit counts.
        """
        if not self.receives_frames:
            return silence_limits.job_s
        if self.node is not None and self.node in self.classes:
            return silence_limits.for_class(self.classes[self.node])
        return max(map(silence_limits.for_class, self.classes.values()), default=silence_limits.default_s)


@dataclass(slots=True)
class Observation:
    """The known state of an engine. All times are on the monotonic clock."""

    answered_at: float
    running: Running | None = None
    stalled_polls: int = 0
    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    """The prompts that this worker follows, by id."""

    def record_message(self, message: RunMessage, silence_limits: SilenceLimits, now: float) -> None:
        """Record a frame, which is a sign of progress. The frame of another prompt means that ComfyUI now runs that."""
        if isinstance(message, Executing) and message.node is None:
            self.running = None
            return
        running = self.running
        if running is None or running.prompt_id != message.prompt_id:
            prompt = self.prompts.get(message.prompt_id, {})
            classes = {node_id: node["class_type"] for node_id, node in prompt.items()}
            running = self.running = Running(message.prompt_id, now, classes=classes)
        else:
            class_type = running.classes.get(running.node or "")
            if class_type:
                silence_limits.learn(class_type, now - running.last_frame_at)
        running.last_frame_at = self.answered_at = now
        self.stalled_polls = 0
        if isinstance(message, Executing):
            running.node = message.node

    def record_poll(self, snapshot: QueueSnapshot | None, client_id: str, now: float) -> None:
        """Record the state of the queue. `client_id` is the one whose frames this worker receives.

        `snapshot` is None if nothing listens, because the process has ended or is starting. The supervisor handles
        that.
        """
        self.answered_at = now
        if snapshot is None or snapshot.running is None:
            self.running = None
        else:
            if self.running is None or self.running.prompt_id != snapshot.running:
                self.running = Running(snapshot.running, now)
            self.running.classes = snapshot.classes
            self.running.receives_frames = snapshot.client_id == client_id
        is_stalled = snapshot is not None and snapshot.pending > 0 and snapshot.running is None
        self.stalled_polls = self.stalled_polls + 1 if is_stalled else 0


def find_problem(
    observation: Observation, silence_limits: SilenceLimits, silence_s: float, now: float
) -> EngineProblem | None:
    """Return the problem of an engine, or None if it has none.

    `silence_s` are the seconds that an engine may leave all requests without a response.
    """
    if now - observation.answered_at >= silence_s:
        return EngineProblem.UNRESPONSIVE
    if observation.stalled_polls >= STALLED_POLLS:
        return EngineProblem.STALLED
    running = observation.running
    if running is None:
        return None
    if running.stop_requested_at is not None:
        return EngineProblem.UNSTOPPABLE if now - running.stop_requested_at >= silence_limits.stop_s else None
    return EngineProblem.STUCK if now - running.last_frame_at >= running.allowed_silence_s(silence_limits) else None


class Watchdog:
    """The watchdog of one engine. `supervisor` is None if this worker cannot restart the engine."""

    def __init__(
        self,
        api: ComfyApi,
        socket: EngineSocket,
        supervisor: Supervisor | None,
        settings: ComfySettings,
        limits: LimitSettings,
        task: str = "engine-watch",
    ) -> None:
        """`task` is the name of the watchdog's task."""
        self._task = task
        self._restart_needed: str | None = None
        """Reason why the operator has to restart ComfyUI, because this worker cannot."""
        self._restart_needed_in = -1
        """Number of the connection during which that became necessary. A new connection means a restart."""
        self._api = api
        self._socket = socket
        self._supervisor = supervisor
        self._silence_s = settings.silence_s
        self._silence_limits = SilenceLimits.of(settings, limits)
        self._period_s = min(settings.event_silence_s, settings.silence_s / 3, settings.node_silence_s / 3)
        self._prompts: dict[str, Prompt] = {}
        self._observation = self._new_observation()
        self.on_message: Callable[[RunMessage], None] = lambda _: None
        """Called with each frame after it was recorded."""

    @asynccontextmanager
    async def watching(self, tasks: Tasks) -> AsyncIterator[None]:
        """Watch the engine inside the context."""
        self._socket.on_message = self._handle_message
        task = tasks.start(self._task, self._watch)
        try:
            yield
        finally:
            await stop(task)

    @contextmanager
    def following(self, prompt_id: str, prompt: Prompt) -> Iterator[None]:
        """Register a prompt inside the context, so that the classes of its nodes are known from its first frame."""
        self._prompts[prompt_id] = prompt
        try:
            yield
        finally:
            del self._prompts[prompt_id]

    def runs(self, prompt_id: str) -> bool:
        """Return whether this prompt is the one that ComfyUI was last seen to run."""
        return self._observation.running is not None and self._observation.running.prompt_id == prompt_id

    def stop_s(self, prompt_id: str) -> float:
        """Return the seconds that a prompt may run after an interrupt, by the class of the node that runs."""
        running = self._observation.running
        if running is None or running.prompt_id != prompt_id:
            return self._silence_limits.after_interrupt()
        return running.stop_s(self._silence_limits)

    def restart(self, reason: str, *, healthy: bool = False) -> None:
        """Kill a managed ComfyUI because of the node that runs. Its supervisor starts it again.

        Its other prompts run again, and the loss does not count against their jobs. `healthy` means that ComfyUI itself
        works, so the next start is not delayed.
        """
        if self._supervisor is not None:
            self._socket.notify_runs(PromptEvicted())
            self._supervisor.restart(reason, healthy=healthy)
            self._observation = self._new_observation()

    @property
    def restart_needed(self) -> str | None:
        """Reason why the operator has to restart ComfyUI.

        None after a restart, once ComfyUI runs something again, or while there is no such reason.
        """
        return self._restart_needed if self._restart_needed_in == self._socket.connections else None

    def _handle_message(self, message: RunMessage) -> None:
        """Record a frame, which also shows that ComfyUI needs no restart, and pass it on."""
        self._restart_needed = None
        self._observation.record_message(message, self._silence_limits, time.monotonic())
        self.on_message(message)

    def _new_observation(self) -> Observation:
        """Return the state of an engine that has just responded."""
        return Observation(time.monotonic(), prompts=self._prompts)

    async def _watch(self) -> None:
        """Look for a problem in each period, and handle it."""
        while True:
            await asyncio.sleep(self._period_s)
            running = self._observation.running
            # A prompt whose frames arrive shows as much as a poll would.
            if running is None or time.monotonic() - running.last_frame_at >= self._period_s:
                await self._poll()
            problem = find_problem(self._observation, self._silence_limits, self._silence_s, time.monotonic())
            if problem is not None:
                await self._handle_problem(problem)

    async def _poll(self) -> None:
        """Read ComfyUI's queue and record its state. When ComfyUI does not respond, nothing is recorded."""
        with suppress(EngineUnavailable):
            snapshot = await self._api.poll_queue(self._silence_s / 3)
            self._observation.record_poll(snapshot, self._socket.client_id, time.monotonic())

    async def _handle_problem(self, problem: EngineProblem) -> None:
        """Handle a problem: interrupt the prompt, restart ComfyUI or report that the operator has to."""
        running = self._observation.running
        if problem is EngineProblem.STUCK and running is not None:
            await self._stop(running)
        elif problem is EngineProblem.UNSTOPPABLE and self._supervisor is not None:
            self.restart(f"{problem} ({self.running_node()})")
        elif self._supervisor is not None:
            self._supervisor.restart(f"{problem} ({self.running_node()})" if running else problem)
            self._observation = self._new_observation()
        else:
            log.error("ComfyUI has to be restarted: %s", problem)
            # An unresponsive ComfyUI may respond again, and each run has its own limit for that.
            if problem is not EngineProblem.UNRESPONSIVE:
                reason = f"ComfyUI has to be restarted: {problem}"
                self._restart_needed, self._restart_needed_in = reason, self._socket.connections
                self._socket.notify_runs(EngineUnusable(reason))
            self._observation = self._new_observation()

    async def _stop(self, running: Running) -> None:
        """Interrupt a stuck prompt. The run is notified first, or it would report an interrupt by a user."""
        log.error("stopping a prompt: %s (%s)", EngineProblem.STUCK, self.running_node())
        running.stop_requested_at = time.monotonic()
        self._socket.notify_run(running.prompt_id, PromptHung())
        with suppress(EngineUnavailable):
            await self._api.cancel(running.prompt_id)

    def running_node(self) -> str:
        """Return a description of the running node for messages, such as `node 3, KSampler`."""
        running = self._observation.running
        if running is None or running.node is None:
            return "no node"
        return f"node {running.node}, {running.classes.get(running.node, 'created by another node')}"
