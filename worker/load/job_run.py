"""One run of a job's prompt on an engine: the times of its nodes, and the seconds that it still needs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from worker.load.active_node import ActiveNode
from worker.load.forecast import Forecast
from worker.load.node_work import NodeKind, NodeWork
from worker.load.prediction import NOTHING, Prediction
from worker.workflow.prompt import Prompt, links


@dataclass(frozen=True, slots=True)
class MeasuredNode:
    """A node and the seconds that it ran. It did not run to its end unless it is `completed`."""

    node: NodeWork
    seconds: float
    completed: bool


LATE_S, LATE_SHARE = 0.05, 0.25
"""Seconds, and share of a run, by which its duration may differ between the clocks of ComfyUI and of the worker.

The messages of a run arrive together when the worker gets no processor for a while."""
SETTLE_S = 0.05
"""Seconds around the end of a block of the event loop in which the messages are handled that arrived meanwhile."""


@dataclass(slots=True, eq=False)
class JobRun:
    """A run that has started. Times are seconds of any one clock.

    ComfyUI reports the start of each node, and runs one node at a time: a node ends when the next one starts. A node
    may add nodes during the run. Their ids begin with its own, and their time counts as its time. Nodes that wait for
    another machine run beside others. Then it is not known which of them took the time, and none of them is measured.
    """

    prompt: Prompt
    work: Mapping[str, NodeWork]
    """The nodes of the prompt that were expected to run, by id."""
    forecast: Forecast
    started_at: float
    setup_s: float | None = None
    """Seconds before the first node, once it has started."""
    _seconds: dict[str, float] = field(default_factory=dict)
    """Seconds of each node that has started."""
    _progress: ActiveNode | None = None
    _first_times: tuple[float, float] | None = None
    """Seconds of ComfyUI's clock and of this one at the start of the run."""
    _running: str | None = None
    _since: float = 0.0
    """When the running node started, or went on."""
    _stopped: str | None = None
    """The node that was interrupted or has failed."""
    _is_blind: bool = False
    """Whether no more events arrive."""
    _waiting: set[str] = field(default_factory=set)
    """Nodes that may still wait for another machine."""
    _unclear: set[str] = field(default_factory=set)
    """Nodes that ran beside another one, or whose start or end is not known."""
    _changed_at: dict[str, float] = field(default_factory=dict)
    """When each node started or stopped last."""
    _late_until: float = -math.inf
    """Time until which messages are handled that may be late."""
    _cached: Collection[str] | None = None
    """Nodes whose results ComfyUI has, once that is known."""

    @property
    def cached(self) -> Collection[str]:
        """Ids of the nodes that do not run, as far as it is known."""
        return self.forecast.cached if self._cached is None else self._cached

    def keeps_time(self, engine_s: float, now: float) -> bool:
        """Return whether the messages of the run arrive in time, by the first and the last one.

        `engine_s` is the time of a message on ComfyUI's clock.
        """
        if self._first_times is None:
            self._first_times = engine_s, now
        duration_s = engine_s - self._first_times[0]
        return abs(now - self._first_times[1] - duration_s) <= LATE_S + LATE_SHARE * abs(duration_s)

    def note_block(self, now: float) -> None:
        """Record that the event loop was blocked until now: messages that are handled at this time may be late."""
        self._late_until = now + SETTLE_S
        self._unclear |= {node for node, at in self._changed_at.items() if at >= now - SETTLE_S}

    def record_cached(self, node_ids: Collection[str]) -> None:
        """Record that ComfyUI has the results of these nodes."""
        self._cached = frozenset(node_ids)

    def start_node(self, node_id: str, now: float) -> None:
        """Record that a node has started, which ends the one before."""
        if self._cached is None:
            self._cached = frozenset()  # ComfyUI reports the cached nodes, if there are any, before the first node
        self._pause(now)
        node = self._owner(node_id)
        if self.setup_s is None:
            self.setup_s = now - self.started_at
        self._running, self._since = node, now
        if node is None:
            self._progress = None
            return
        self._note_change(node, now)
        self._note_waiting(node)
        done_s = self._seconds.setdefault(node, 0.0)
        self._progress = ActiveNode(self.forecast.nodes.get(node, NOTHING), now - done_s)

    def step(self, node_id: str, value: float, maximum: float, now: float) -> None:
        """Record that a node has finished `value` of `maximum` steps."""
        node = self._owner(node_id)
        if node != self._running and node in self._seconds and self._running is not None:
            self._unclear |= {node, self._running}
        elif node is not None and self._progress is not None:
            self._progress.step(value, maximum, now)

    def lose_events(self, now: float) -> None:
        """Record that no more events of the run can arrive. It may go on, and only its time is known."""
        self.stop(now)
        self._is_blind = True

    def stop(self, now: float) -> None:
        """Record that the running node was interrupted or has failed."""
        if self._stopped is None:
            self._stopped = self._running
        progress = self._progress
        self._pause(now)
        self._progress = progress  # the node may go on although its job has ended

    def measured(self, now: float, *, succeeded: bool) -> Iterator[MeasuredNode]:
        """Yield the nodes whose seconds are known, at the end of the run."""
        if succeeded:
            self._pause(now)
        else:
            self.stop(now)
        for node_id, seconds in self._seconds.items():
            if node_id not in self._unclear:
                yield MeasuredNode(self.work[node_id], seconds, node_id != self._stopped)

    @property
    def stopped_node(self) -> str | None:
        """Id of the node that was interrupted or has failed, or None."""
        return self._stopped

    @property
    def started_nodes(self) -> Collection[str]:
        """Ids of the nodes that have started."""
        return self._seconds.keys()

    def remaining(self, now: float) -> Prediction:
        """Return the seconds until the run ends."""
        predictions, whole = self.forecast.nodes, self.forecast.whole
        if self._is_blind:
            return whole.after(now - self.started_at)
        nodes = [node_id for node_id in predictions if node_id not in self._seconds and node_id not in self.cached]
        left_s = sum(predictions[node_id].p50_s for node_id in nodes)
        left_s += self._load_left_s(nodes, now)
        # The nodes to come are as uncertain as the whole run was.
        left = Prediction(left_s, left_s * (whole.p90_s / whole.p50_s if whole.p50_s else 1.0))
        return left + (self._progress.remaining(now) if self._progress is not None else NOTHING)

    def node_remaining(self, now: float) -> Prediction:
        """Return the seconds until the running node ends, which may not stop when the job is cancelled."""
        return self._progress.remaining(now) if self._progress is not None else NOTHING

    def _load_left_s(self, nodes: Collection[str], now: float) -> float:
        """Return the seconds of loading models that have not been spent. `nodes` have not started.

        What a node has taken longer than it takes with its models loaded counts as loading.
        """
        if not self.forecast.load_s:
            return 0.0
        running = () if self._running is None else (self._running,)
        if not any(self.work[node_id].reads or self.work[node_id].models for node_id in (*nodes, *running)):
            return 0.0
        spent_s = 0.0
        for node_id, seconds in self._seconds.items():
            if self.work[node_id].reads or self.work[node_id].models:
                elapsed_s = seconds + (now - self._since if node_id == self._running else 0.0)
                spent_s += max(0.0, elapsed_s - self.forecast.nodes[node_id].p50_s)
        return max(0.0, self.forecast.load_s - spent_s)

    def _owner(self, node_id: str) -> str | None:
        """Return the node of the prompt that a node belongs to, or None if it is not known."""
        while node_id not in self.work:
            node_id, dot, _ = node_id.rpartition(".")
            if not dot:
                return None
        return node_id

    def _pause(self, now: float) -> None:
        """Add the time that the running node has run until now to its seconds."""
        if self._running is not None:
            self._seconds[self._running] = self._seconds.get(self._running, 0.0) + max(0.0, now - self._since)
            self._note_change(self._running, now)
        self._running, self._since, self._progress = None, now, None

    def _note_change(self, node_id: str, now: float) -> None:
        """Record that a node starts or stops. If the message may be late, its seconds are not known."""
        self._changed_at[node_id] = now
        if now <= self._late_until:
            self._unclear.add(node_id)

    def _note_waiting(self, node_id: str) -> None:
        """Record which nodes run beside this one. A node that uses the result of another starts after its end."""
        if node_id in self.prompt:
            self._waiting -= {source for _, source, _ in links(self.prompt[node_id])}
        if self._waiting:
            self._unclear |= self._waiting | {node_id}
        if self.work[node_id].kind is NodeKind.API:
            self._waiting.add(node_id)
