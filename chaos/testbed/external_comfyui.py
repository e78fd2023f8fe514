"""A real ComfyUI in place of the embedded engine: a folder that the worker starts, and a workflow that takes time."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import orjson

from chaos.clients.client_scenario import prefix
from worker.workflow.prompt import Prompt

CASE_NAMES = frozenset(
    {
        "ComfyUI killed",
        "ComfyUI stopped (SIGSTOP)",
        "interrupted by another client",
        "worker killed (SIGKILL), ComfyUI with it",
        "worker stopped (SIGTERM)",
    }
)
"""Names of the cases that work with a real ComfyUI. The faults of the others exist only in the embedded engine."""
SILENCE_S = 15.0
SETTINGS = {"WORKER_ENGINE_SILENCE": f"{SILENCE_S:g}", "WORKER_NODE_SILENCE": "120", "WORKER_ENGINE_START": "180"}
"""Longer limits: on shared cores ComfyUI may not answer for seconds while it samples or loads models."""
START_S = 90.0


@dataclass(frozen=True)
class ExternalComfyUI:
    """A ComfyUI folder with its command-line `arguments`, and a `workflow` file in API format."""

    folder: Path
    workflow: Path
    arguments: str = "--cpu"

    @property
    def env(self) -> dict[str, str]:
        """The worker's settings for this ComfyUI."""
        threads = {name: value for name in ("OMP_NUM_THREADS", "KMP_BLOCKTIME") if (value := os.environ.get(name))}
        return {"WORKER_COMFYUI": str(self.folder), "WORKER_COMFYUI_ARGS": self.arguments, **SETTINGS, **threads}

    def job(self, number: int) -> Prompt:
        """Return the workflow with the number as its seed and in the names of its files."""
        prompt = deepcopy(self._prompt)
        for node in prompt.values():
            for name in node["inputs"]:
                if name == "filename_prefix":
                    node["inputs"][name] = prefix(number)
                elif "seed" in name:
                    node["inputs"][name] = number
        return prompt

    @cached_property
    def _prompt(self) -> Prompt:
        """The prompt in the workflow file."""
        prompt: Prompt = orjson.loads(self.workflow.read_bytes())
        return prompt
