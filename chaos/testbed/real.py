"""A real ComfyUI in the embedded engine's place: a folder that the worker starts, and a workflow that takes a while."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import orjson

from chaos.clients.client_scenario import prefix
from worker.workflow.prompt import Prompt

NAMES = frozenset(
    {
        "ComfyUI killed",
        "ComfyUI stopped (SIGSTOP)",
        "interrupted by somebody else",
        "worker killed (SIGKILL), ComfyUI with it",
        "worker told to end (SIGTERM)",
    }
)
"""Rows that can be had on it: faults that only the embedded engine makes are left out."""
SILENCE_S = 15.0
SETTINGS = {"WORKER_ENGINE_SILENCE": f"{SILENCE_S:g}", "WORKER_NODE_SILENCE": "120", "WORKER_ENGINE_START": "180"}
"""On shared cores it may not answer for seconds while it samples, and loads models without a word."""
START_S = 90.0


@dataclass(frozen=True)
class Real:
    """`arguments` are ComfyUI's own, `workflow` a prompt in API format."""

    folder: Path
    workflow: Path
    arguments: str = "--cpu"

    @property
    def env(self) -> dict[str, str]:
        threads = {name: value for name in ("OMP_NUM_THREADS", "KMP_BLOCKTIME") if (value := os.environ.get(name))}
        return {"WORKER_COMFYUI": str(self.folder), "WORKER_COMFYUI_ARGS": self.arguments, **SETTINGS, **threads}

    def job(self, number: int) -> Prompt:
        """The same work with another seed; its file's name tells the number."""
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
        found: Prompt = orjson.loads(self.workflow.read_bytes())
        return found
