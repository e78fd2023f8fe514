"""Durations of nodes from a file of the user, instead of the engine's own estimates."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.errors import StartupError
from worker.workflow.json_value import JsonObject
from worker.workflow.prompt import Prompt


@dataclass(frozen=True, slots=True)
class SimulatedNode:
    """A node that is about to run, as the function of a timings file receives it.

    `inputs` are the node's inputs in the prompt, in which links are lists. `model` is the name of the model file that
    the node's inputs come from, or an empty string. The size is that of the images or the latent that it works on.
    """

    id: str
    class_type: str
    inputs: JsonObject
    prompt: Prompt
    model: str
    width: int
    height: int
    frames: int
    batch: int
    steps: int
    """Steps that a sampler runs, and 0 for any other node."""


Seconds = Callable[[SimulatedNode], float | None]
"""Returns the seconds that a node takes, or None for the engine's own estimate."""


@dataclass(frozen=True, slots=True)
class Timings:
    """The content of a timings file: the function `seconds`, and the name of the GPU that the engine pretends to be."""

    seconds: Seconds
    device: str = ""

    @classmethod
    def read(cls, path: Path) -> Timings:
        """Run a timings file and return its content. Raises StartupError."""
        try:
            names: Mapping[str, object] = runpy.run_path(str(path))
        except Exception as error:  # it is the user's program
            raise StartupError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
        seconds, device = names.get("seconds"), names.get("DEVICE", "")
        if not callable(seconds) or not isinstance(device, str):
            raise StartupError(f"{path} must define a function seconds(node), and DEVICE, if it has one, must be text")
        return cls(seconds, device)
