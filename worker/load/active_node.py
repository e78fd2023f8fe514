"""The running node of a job, and the seconds that it still needs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from statistics import median

from worker.load.prediction import Prediction

UNEVEN_STEPS = 2
"""First steps of a node that say nothing about the others: they include loading, compiling and warming up."""
RECENT_STEPS = 5
"""Number of steps whose median is the time of a step."""


@dataclass(slots=True)
class ActiveNode:
    """A running node: the prediction for it, and the steps that it has reported.

    Times are seconds of any one clock.
    """

    predicted: Prediction
    started_at: float
    _value: float = 0.0
    _maximum: float = 0.0
    _last_at: float = 0.0
    _steps: int = 0
    """Number of reports so far."""
    _bars: int = 0
    """Number of times that the node has begun to count."""
    _step_s: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT_STEPS))

    def step(self, value: float, maximum: float, now: float) -> None:
        """Record that the node has finished `value` of `maximum` steps."""
        if value < self._value or maximum != self._maximum:
            self._bars += 1
        elif value > self._value:
            self._steps += 1
            if self._steps >= UNEVEN_STEPS:
                self._step_s.append((now - self._last_at) / (value - self._value))
        else:
            return  # the same report again
        self._value, self._maximum, self._last_at = value, maximum, now

    def remaining(self, now: float) -> Prediction:
        """Return the seconds that the node still needs: by its steps once enough of them are known, or as predicted.

        The time of a step replaces the prediction, unless the node counts several times: then nobody knows how often.
        """
        predicted = self.predicted.after(now - self.started_at)
        if len(self._step_s) < UNEVEN_STEPS or self._bars > 1:
            return predicted
        done_s = now - self._last_at  # of the current step

        def left_s(step_s: float) -> float:
            """Return the seconds that the other steps take, if each takes `step_s`."""
            further_steps = self._maximum - self._value - 1
            return further_steps * step_s + max(step_s - done_s, 0.0) if further_steps >= 0 else 0.0

        return Prediction(left_s(median(self._step_s)), left_s(max(self._step_s)))
