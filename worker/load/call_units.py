"""The units of handlers' calls, learned from the prompts that earlier calls have sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from statistics import median
from typing import Any

from pydantic import NonNegativeFloat, TypeAdapter, ValidationError

MOST_SAMPLES = 32
"""Last calls of one handler, or of one shape of its arguments, that count."""
MOST_SHAPES = 1000
"""Shapes that are remembered. The one that was learned first is dropped."""

Shape = tuple[tuple[str, float], ...]
SavedSamples = list[str | Shape | list[float] | None]
"""Handler, shape, and units of the last calls."""
ENTRY = TypeAdapter(tuple[str, Shape | None, list[NonNegativeFloat]])


def numbers_in(arguments: Mapping[str, Any]) -> dict[str, float]:
    """Return the arguments that are numbers, on which the cost of a call depends. A boolean is one, too."""
    return {name: value for name, value in sorted(arguments.items()) if isinstance(value, int | float)}


class CallUnits:
    """Predicts the units of a call: the median of earlier calls with the same numbers, or else of the handler."""

    def __init__(self) -> None:
        self._samples: dict[tuple[str, Shape | None], deque[float]] = {}
        """Units of calls by handler and shape. The shape None has those of all calls of the handler."""

    def expected(self, handler: str, numbers: Mapping[str, float]) -> float:
        """Return the units of a call, 0 for a handler that has never run."""
        samples = self._samples.get((handler, _shape(numbers))) or self._samples.get((handler, None))
        return median(samples) if samples else 0.0

    def learn(self, handler: str, numbers: Mapping[str, float], units: float) -> None:
        """Learn the units of all prompts of a call that has succeeded."""
        for key in ((handler, _shape(numbers)), (handler, None)):
            self._samples.setdefault(key, deque(maxlen=MOST_SAMPLES)).append(units)
        if len(self._samples) > MOST_SHAPES:
            del self._samples[next(key for key in self._samples if key[1] is not None)]

    def saved(self) -> list[SavedSamples]:
        """Return what was learned, in a form that JSON can hold, the shape that was learned first at the beginning."""
        return [[handler, shape, list(samples)] for (handler, shape), samples in self._samples.items()]

    def restore(self, saved: object) -> None:
        """Learn what an earlier process has saved. Entries of another form are left out."""
        for entry in saved if isinstance(saved, list) else []:
            with suppress(ValidationError):
                handler, shape, samples = ENTRY.validate_python(entry)
                self._samples[handler, shape] = deque(samples, maxlen=MOST_SAMPLES)


def _shape(numbers: Mapping[str, float]) -> Shape:
    """Return the numbers as a key, without a seed, which does not affect the cost."""
    return tuple(sorted((name, value) for name, value in numbers.items() if "seed" not in name.lower()))
