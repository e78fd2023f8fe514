"""How many steps the samplers of a prompt take, from their own inputs or the sigmas they are given."""

from __future__ import annotations

import re

from worker.workflow.json_value import Json
from worker.workflow.numbers import number
from worker.workflow.prompt import Node, Prompt

DEEPEST = 100  # nodes between a sampler and the scheduler that made its sigmas

STEPS = frozenset({"steps", "num_steps", "sampling_steps", "num_inference_steps"})
_STEPS = ("steps", "num_steps", "sampling_steps", "num_inference_steps")


class StepCounts:
    """The steps in one prompt; each scheduler is looked at once."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._made: dict[str, float | None] = {}

    def steps_of(self, node: Node) -> float | None:
        """Return the steps of a sampler, None where neither the node nor its sigmas say any.

        Sigmas beat steps where a node has both; then its own range is cut out (advanced samplers, RES4LYF).
        """
        steps = self._in_sigmas(node["inputs"].get("sigmas"), DEEPEST)
        if steps is None:
            steps = number(self._prompt, node, *_STEPS)
        if steps is None:
            return None
        start = number(self._prompt, node, "start_at_step") or 0.0
        end = number(self._prompt, node, "end_at_step")
        run = node["inputs"].get("steps_to_run")
        if isinstance(run, int) and run >= 0:  # -1 is all of them
            end = run
        return max((steps if end is None else min(steps, end)) - start, 0.0)

    def _in_sigmas(self, link: Json, depth: int) -> float | None:
        match link:
            case [str(source), int(slot)] if depth and source in self._prompt:
                steps = self._made_by(source, depth)
                cut = number(self._prompt, self._prompt[source], "step")
                if steps is None or cut is None:
                    return steps
                return min(steps, cut) if slot == 0 else max(steps - cut, 0.0)  # the two halves of SplitSigmas
        return None

    def _made_by(self, node_id: str, depth: int) -> float | None:
        """Ask the scheduler; nodes between that rescale or join sigmas keep the longest."""
        if node_id not in self._made:
            self._made[node_id] = None  # met again inside a cycle
            node = self._prompt[node_id]
            listed = node["inputs"].get("sigmas")
            steps = number(self._prompt, node, *_STEPS)
            if isinstance(listed, str):  # written out by hand
                steps = max(len(re.findall(r"[\d.]+", listed)) - 1.0, 0.0)
            if steps is None:
                before = (
                    self._in_sigmas(value, depth - 1) for name, value in node["inputs"].items() if "sigmas" in name
                )
                steps = max((one for one in before if one is not None), default=None)
            self._made[node_id] = steps
        return self._made[node_id]
