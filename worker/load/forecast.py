"""What is predicted for the run of a job on an engine, before it starts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from worker.load.prediction import Prediction


@dataclass(frozen=True, slots=True)
class FileLoad:
    """A model file: its size in bytes, and the seconds to load it."""

    size: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The predicted seconds of a job's run on an engine.

    `whole` includes loading models, which is expected to take `load_s` seconds. `nodes` are the predictions for all
    nodes, with their models loaded. Those in `cached` are expected not to run.
    """

    engine: str
    whole: Prediction
    nodes: Mapping[str, Prediction]
    load_s: float = 0.0
    cached: Collection[str] = ()
