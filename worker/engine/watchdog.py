"""Is the engine well? It answers, something runs while something waits, and what runs makes progress."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum

from worker.engine.process.supervisor import Supervisor
from worker.engine.protocol.api import ComfyApi, QueueSnapshot
from worker.engine.protocol.messages import Executing, RunMessage
from worker.engine.protocol.websocket import EngineSocket, EngineUnusable, PromptEvicted, PromptHung
from worker.errors import EngineUnavailable, StartupError
from worker.settings import ComfySettings, LimitSettings
from worker.supervision import Tasks, stop
from worker.workflow.prompt import Prompt

log = logging.getLogger(__name__)

STALLED_LOOKS = 3
"""Something waits while nothing runs, seen this often in a row: ComfyUI's worker thread is dead."""
LEARNED_FACTOR = 3.0
"""A class of nodes may take so many times the longest silence that it was seen to end."""
STOP_MOST_S = 60.0
"""A node notices that it was asked to stop between two steps only; a class with long steps may take this at most."""
MOST_CLASSES = 256
"""Classes whose longest silence is remembered; beyond them the shortest ones are forgotten."""


class EngineProblem(StrEnum):
    """Deaf: no answer. Stalled: it runs nothing. Stuck: a node without progress. Lost: one that can't be stopped."""

    DEAF = "it does not answer"
    STALLED = "it accepts prompts but runs none"
    STUCK = "a node makes no progress"
    LOST = "a node makes no progress and can't be stopped"


@dataclass(slots=True)
class SilenceLimits:
    """How many seconds a node may be silent: as declared for its class, or the default, or longer where it was seen."""

    default_s: float
    stop_s: float
    """How long a node that was asked to stop may take before ComfyUI is restarted, if its class shows no long steps."""
    job_s: float
    """For a prompt whose frames this worker can't hear: nothing but its end tells that it lives."""
    declared: Mapping[str, float] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: ComfySettings, limits: LimitSettings) -> SilenceLimits:
        """Raises StartupError for a deadline that is none."""
        declared = {}
        for part in filter(None, map(str.strip, settings.node_deadlines.split(","))):
            name, _, seconds = part.partition("=")
            try:
                declared[name.strip()] = float(seconds)
            except ValueError:
                raise StartupError(f"WORKER_NODE_DEADLINES: {part!r} is not Class=seconds") from None
        return cls(
            settings.node_silence_s,
            min(settings.node_stop_s, settings.node_silence_s),
            limits.job_timeout_s,
            declared,
        )

    def with_class(self, name: str) -> float:
        if name in self.declared:
            return self.declared[name]
        return max(self.default_s, LEARNED_FACTOR * self.seen.get(name, 0.0))

    def after_interrupt(self, *names: str) -> float:
        """How long a node of one of these classes may go on after it was asked to stop."""
        longest_s = max((self.seen.get(name, 0.0) for name in names), default=0.0)
        return max(self.stop_s, min(STOP_MOST_S, LEARNED_FACTOR * longest_s))

    def learn(self, name: str, silence_s: float) -> None:
        """Remember a silence of a class that ended, where it is long enough to make any limit longer."""
        if LEARNED_FACTOR * silence_s <= min(self.stop_s, self.default_s):
            return
        self.seen[name] = max(silence_s, self.seen.get(name, 0.0))
        if len(self.seen) > MOST_CLASSES:
            del self.seen[min(self.seen, key=self.seen.__getitem__)]


@dataclass(slots=True)
class Running:
    """What ComfyUI runs, and when it last gave a sign of life."""

    prompt_id: str
    heard_at: float
    node: str | None = None
    classes: Mapping[str, str] = field(default_factory=dict)
    audible: bool = True
    stop_asked_at: float | None = None

    def stop_s(self, silence_limits: SilenceLimits) -> float:
        """How long it may go on after an interrupt; where its node is not known, the most patient class counts."""
        name = self.classes.get(self.node or "")
        return silence_limits.after_interrupt(*(self.classes.values() if name is None else (name,)))

    def allowed_silence_s(self, silence_limits: SilenceLimits) -> float:
        """Between two nodes, and in one that another expanded into, the most patient class of the prompt counts."""
        if not self.audible:
            return silence_limits.job_s
        if self.node is not None and self.node in self.classes:
            return silence_limits.with_class(self.classes[self.node])
        return max(map(silence_limits.with_class, self.classes.values()), default=silence_limits.default_s)


@dataclass(slots=True)
class Observation:
    """What is known of an engine. All times are of the monotonic clock."""

    answered_at: float
    running: Running | None = None
    stalled_looks: int = 0
    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    """Those that this worker follows, by id."""

    def record_message(self, message: RunMessage, silence_limits: SilenceLimits, now: float) -> None:
        """Any frame of a prompt is progress of it."""
        if isinstance(message, Executing) and message.node is None:
            self.running = None
            return
        running = self.running
        if running is None or running.prompt_id != message.prompt_id:
            prompt = self.prompts.get(message.prompt_id, {})
            classes = {node_id: node["class_type"] for node_id, node in prompt.items()}
            running = self.running = Running(message.prompt_id, now, classes=classes)
        elif name := running.classes.get(running.node or ""):
            silence_limits.learn(name, now - running.heard_at)
        running.heard_at = self.answered_at = now
        self.stalled_looks = 0
        if isinstance(message, Executing):
            running.node = message.node

    def record_poll(self, look: QueueSnapshot | None, client_id: str, now: float) -> None:
        """`look` is None where nobody listens: the process has ended or is starting, and its supervisor knows."""
        self.answered_at = now
        if look is None or look.running is None:
            self.running = None
        else:
            if self.running is None or self.running.prompt_id != look.running:
                self.running = Running(look.running, now)
            self.running.classes = look.classes
            self.running.audible = look.client_id == client_id
        self.stalled_looks = self.stalled_looks + 1 if look and look.pending and look.running is None else 0


def find_problem(
    sight: Observation, silence_limits: SilenceLimits, silence_s: float, now: float
) -> EngineProblem | None:
    """What is wrong, if anything."""
    if now - sight.answered_at >= silence_s:
        return EngineProblem.DEAF
    if sight.stalled_looks >= STALLED_LOOKS:
        return EngineProblem.STALLED
    running = sight.running
    if running is None:
        return None
    if running.stop_asked_at is not None:
        return EngineProblem.LOST if now - running.stop_asked_at >= silence_limits.stop_s else None
    return EngineProblem.STUCK if now - running.heard_at >= running.allowed_silence_s(silence_limits) else None


class Watchdog:
    """Looks at one engine for as long as the worker lives; `supervisor` is None where nobody here can restart it."""

    def __init__(
        self,
        api: ComfyApi,
        socket: EngineSocket,
        supervisor: Supervisor | None,
        settings: ComfySettings,
        limits: LimitSettings,
        task: str = "engine-watch",
    ) -> None:
        """`task` is the name of its task."""
        self._task = task
        self._condemned: tuple[int, str] | None = None
        """The connection under which ComfyUI turned out to need a restart that nobody here can do, and why."""
        self._api = api
        self._socket = socket
        self._supervisor = supervisor
        self._silence_s = settings.silence_s
        self._silence_limits = SilenceLimits.of(settings, limits)
        self._period_s = min(settings.event_silence_s, settings.silence_s / 3, settings.node_silence_s / 3)
        self._prompts: dict[str, Prompt] = {}
        self._sight = self._first_sight()
        self.on_message: Callable[[RunMessage], None] = lambda _: None
        """Called with every frame, once it was noted."""

    @asynccontextmanager
    async def watching(self, tasks: Tasks) -> AsyncIterator[None]:
        self._socket.on_message = self._hear
        task = tasks.start(self._task, self._watch)
        try:
            yield
        finally:
            await stop(task)

    @contextmanager
    def following(self, prompt_id: str, prompt: Prompt) -> Iterator[None]:
        """Know the classes of a prompt's nodes from its first frame on, so that none of their steps is missed."""
        self._prompts[prompt_id] = prompt
        try:
            yield
        finally:
            del self._prompts[prompt_id]

    def runs(self, prompt_id: str) -> bool:
        """Whether this prompt is the one that was seen to run last."""
        return self._sight.running is not None and self._sight.running.prompt_id == prompt_id

    def stop_s(self, prompt_id: str) -> float:
        """How long a prompt may go on after an interrupt, by the class of the node that runs."""
        running = self._sight.running
        if running is None or running.prompt_id != prompt_id:
            return self._silence_limits.after_interrupt()
        return running.stop_s(self._silence_limits)

    def restart(self, why: str, *, healthy: bool = False) -> None:
        """Kill ComfyUI because of the node that runs. The other prompts in it are lost and accused of nothing."""
        if self._supervisor is not None:
            self._socket.notify_runs(PromptEvicted())
            self._supervisor.restart(why, healthy=healthy)
            self._sight = self._first_sight()

    @property
    def restart_needed(self) -> str | None:
        """Why ComfyUI has to be restarted, where nobody here can; None once it was, or runs something again."""
        if self._condemned is None or self._condemned[0] != self._socket.connections:
            return None
        return self._condemned[1]

    def _hear(self, message: RunMessage) -> None:
        self._condemned = None
        self._sight.record_message(message, self._silence_limits, time.monotonic())
        self.on_message(message)

    def _first_sight(self) -> Observation:
        return Observation(time.monotonic(), prompts=self._prompts)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            running = self._sight.running
            if running is None or time.monotonic() - running.heard_at >= self._period_s:
                await self._look()
            found = find_problem(self._sight, self._silence_limits, self._silence_s, time.monotonic())
            if found is not None:
                await self._act(found)

    async def _look(self) -> None:
        with suppress(EngineUnavailable):
            look = await self._api.poll_queue(self._silence_s / 3)
            self._sight.record_poll(look, self._socket.client_id, time.monotonic())

    async def _act(self, found: EngineProblem) -> None:
        running = self._sight.running
        if found is EngineProblem.STUCK and running is not None:
            await self._stop(running)
        elif found is EngineProblem.LOST and self._supervisor is not None:
            self.restart(f"{found} ({self.where()})")
        elif self._supervisor is not None:
            self._supervisor.restart(f"{found} ({self.where()})" if running else found)
            self._sight = self._first_sight()
        else:
            log.error("ComfyUI has to be restarted: %s", found)
            if found is not EngineProblem.DEAF:  # that one may pass, and every job has its own patience with it
                why = f"ComfyUI has to be restarted: {found}"
                self._condemned = self._socket.connections, why
                self._socket.notify_runs(EngineUnusable(why))
            self._sight = self._first_sight()

    async def _stop(self, running: Running) -> None:
        """Tell its job first: this interruption is none that somebody asked for."""
        log.error("stopping a prompt: %s (%s)", EngineProblem.STUCK, self.where())
        running.stop_asked_at = time.monotonic()
        self._socket.notify_run(running.prompt_id, PromptHung())
        with suppress(EngineUnavailable):
            await self._api.cancel(running.prompt_id)

    def where(self) -> str:
        """The node that runs, with its class."""
        running = self._sight.running
        if running is None or running.node is None:
            return "no node"
        return f"node {running.node}, {running.classes.get(running.node, 'of another node')}"
