"""Counts the steps of the samplers in a prompt, from their own inputs or from their sigmas."""

from __future__ import annotations

import re

from worker.workflow.json_value import Json
from worker.workflow.numbers import number
from worker.workflow.prompt import Node, Prompt

DEEPEST = 100  # maximum number of nodes between a sampler and the scheduler that creates its sigmas

STEPS = frozenset({"steps", "num_steps", "sampling_steps", "num_inference_steps"})
_STEPS = ("steps", "num_steps", "sampling_steps", "num_inference_steps")


class StepCounts:
    """The steps of the samplers in one prompt. Each scheduler is computed once."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._steps_by_scheduler: dict[str, float | None] = {}
        """Steps of each scheduler that was computed, by its node id. None if they are not known."""

    def steps_of(self, node: Node) -> float | None:
        """Return the steps that a sampler runs, or None if neither the node nor its sigmas define any.

        If a node has both, its sigmas count. Advanced samplers and RES4LYF can run a part of the steps, which the node
        sets with `start_at_step`, `end_at_step` or `steps_to_run`.
        """
        steps = self._steps_of_sigmas(node["inputs"].get("sigmas"), DEEPEST)
        if steps is None:
            steps = number(self._prompt, node, *_STEPS)
        if steps is None:
            return None
        start = number(self._prompt, node, "start_at_step") or 0.0
        end = number(self._prompt, node, "end_at_step")
        steps_to_run = node["inputs"].get("steps_to_run")
        if isinstance(steps_to_run, int) and steps_to_run >= 0:  # -1 means all steps
            end = steps_to_run
        if end is not None:
            steps = min(steps, end)
        return max(steps - start, 0.0)

    def _steps_of_sigmas(self, link: Json, depth: int) -> float | None:
        """Return the steps of the sigmas that `link` leads to, or None. Follows at most `depth` links."""
        match link:
            case [str(source), int(slot)] if depth and source in self._prompt:
                steps = self._scheduler_steps(source, depth)
                split_at = number(self._prompt, self._prompt[source], "step")
                if steps is None or split_at is None:
                    return steps
                # SplitSigmas outputs the steps before the split in slot 0, and the others in slot 1.
                return min(steps, split_at) if slot == 0 else max(steps - split_at, 0.0)
        return None

    def _scheduler_steps(self, node_id: str, depth: int) -> float | None:
        """Return the steps of a scheduler, which is a node that outputs sigmas, or None if they are not known.

        A node that changes or joins sigmas has the steps of its longest input.
        """
        if node_id not in self._steps_by_scheduler:
            self._steps_by_scheduler[node_id] = None  # the result inside a cycle
            node = self._prompt[node_id]
            sigmas = node["inputs"].get("sigmas")
            steps = number(self._prompt, node, *_STEPS)
            if isinstance(sigmas, str):  # sigmas entered as text, of which n + 1 make n steps
                steps = max(len(re.findall(r"[\d.]+", sigmas)) - 1.0, 0.0)
            if steps is None:
                inputs = node["inputs"].items()
                counts = [self._steps_of_sigmas(value, depth - 1) for name, value in inputs if "sigmas" in name]
                steps = max((count for count in counts if count is not None), default=None)
            self._steps_by_scheduler[node_id] = steps
        return self._steps_by_scheduler[node_id]
