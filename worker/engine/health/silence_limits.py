"""How long a node of each class may be silent, which means that it reports no progress, before it counts as stuck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.errors import StartupError
from worker.settings import ComfySettings, LimitSettings

LEARNED_FACTOR = 3.0
"""A class of nodes may be silent this many times as long as the longest silence that has ended."""
LONGEST_STOP_S = 60.0
"""Largest number of seconds that a node with long steps may take to stop. A node checks between two steps only."""
MOST_LEARNED_CLASSES = 256
"""Number of classes whose longest silence is remembered. The shortest ones are dropped first."""


@dataclass(slots=True)
class SilenceLimits:
    """Seconds that a node of each class may be silent.

    This is the declared number, or else the default, or more if a node of the class was silent for longer and then
    continued.
    """

    default_s: float
    stop_s: float
    """Seconds that an interrupted node may take to stop, unless its class has long steps."""
    job_s: float
    """Limit for a prompt whose frames this worker does not receive. Only its end shows progress."""
    declared: Mapping[str, float] = field(default_factory=dict)
    longest_silences: dict[str, float] = field(default_factory=dict)
    """The longest silence of each class, in seconds."""

    @classmethod
    def of(cls, settings: ComfySettings, limits: LimitSettings) -> SilenceLimits:
        """Return the limits of the settings. Raises StartupError for an invalid WORKER_NODE_DEADLINES."""
        declared = {}
        for part in filter(None, map(str.strip, settings.node_deadlines.split(","))):
            name, _, seconds = part.partition("=")
            try:
                declared[name.strip()] = float(seconds)
            except ValueError:
                raise StartupError(f"WORKER_NODE_DEADLINES: {part!r} is not of the form Class=seconds") from None
        return cls(
            settings.node_silence_s,
            min(settings.node_stop_s, settings.node_silence_s),
            limits.job_timeout_s,
            declared,
        )

    def for_class(self, name: str) -> float:
        """Return the seconds that a node of a class may be silent."""
        if name in self.declared:
            return self.declared[name]
        return max(self.default_s, LEARNED_FACTOR * self.longest_silences.get(name, 0.0))

    def after_interrupt(self, *names: str) -> float:
        """Return the seconds that a node of one of these classes may run after an interrupt."""
        longest_s = max((self.longest_silences.get(name, 0.0) for name in names), default=0.0)
        return max(self.stop_s, min(LONGEST_STOP_S, LEARNED_FACTOR * longest_s))

    def learn(self, name: str, silence_s: float) -> None:
        """Record a silence of a class that has ended, if it is long enough to raise a limit."""
        if LEARNED_FACTOR * silence_s <= min(self.stop_s, self.default_s):
            return  # no limit would change
        self.longest_silences[name] = max(silence_s, self.longest_silences.get(name, 0.0))
        if len(self.longest_silences) > MOST_LEARNED_CLASSES:
            del self.longest_silences[min(self.longest_silences, key=self.longest_silences.__getitem__)]
