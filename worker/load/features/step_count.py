"""Counts the steps of the samplers in a prompt, from their own inputs or from their sigmas."""

from __future__ import annotations

import re
from typing import NamedTuple

from worker.load.features.prompt_graph import LinkedOutput, PromptGraph
from worker.workflow.numbers import number

DEEPEST = 100  # maximum number of nodes between a sampler and the scheduler that creates its sigmas

MOST_STEPS = 10_000.0
"""Largest number of steps that ComfyUI accepts."""
_STEPS = ("steps", "num_steps", "sampling_steps", "num_inference_steps")
STEPS = frozenset(_STEPS)
_PART_OF_STEPS = frozenset({"AlignYourStepsScheduler", "GITSScheduler", "OptimalStepsScheduler"})
"""Schedulers that run a part of their steps with a `denoise` below 1. Others run all, from a lower noise level."""
_LATENTS = ("latent_image", "latent", "samples")


class _Range(NamedTuple):
    """The steps that a sampler runs: from `start` to `end`, of a schedule of `total` steps."""

    start: float
    end: float
    total: float


class StepCounts:
    """The steps of the samplers in one prompt. Each scheduler is computed once."""

    def __init__(self, graph: PromptGraph) -> None:
        self._graph = graph
        self._steps_by_scheduler: dict[str, float | None] = {}
        """Steps of each scheduler that was computed, by its node id. None if they are not known."""

    def steps_of(self, node_id: str) -> float | None:
        """Return the steps that a sampler runs, or None if neither the node nor its sigmas define any.

        If a node has both, its sigmas count. Advanced samplers and RES4LYF can run a part of the steps, which the node
        sets with `start_at_step`, `end_at_step` or `steps_to_run`. RES4LYF's chain samplers continue the steps of the
        sampler before them.
        """
        steps = self._range(node_id, DEEPEST)
        return None if steps is None else min(max(steps.end - steps.start, 0.0), MOST_STEPS)

    def _range(self, node_id: str, depth: int) -> _Range | None:
        """Return the steps that a sampler runs, or None. Follows at most `depth` links to earlier samplers."""
        prompt, inputs = self._graph.prompt, self._graph.prompt[node_id]["inputs"]
        total = self._steps_of_sigmas(self._graph.sources[node_id].get("sigmas"), DEEPEST)
        if total is None:
            total = number(prompt, prompt[node_id], *_STEPS)
        start = number(prompt, prompt[node_id], "start_at_step") or 0.0
        if total is None and "steps_to_run" in inputs:
            earlier = self._earlier_range(node_id, depth)
            total, start = (earlier.total, earlier.end) if earlier else (None, 0.0)
        if total is None:
            return None
        if number(prompt, prompt[node_id], "denoise") == 0:
            return _Range(0.0, 0.0, total)
        end = number(prompt, prompt[node_id], "end_at_step")
        steps_to_run = inputs.get("steps_to_run")
        if isinstance(steps_to_run, int) and steps_to_run >= 0:  # -1 means all steps
            end = start + min(float(steps_to_run), total)
        return _Range(start, total if end is None else min(total, end), total)

    def _earlier_range(self, node_id: str, depth: int) -> _Range | None:
        """Return the steps of the sampler that a chain sampler continues, or None if there is none."""
        for _ in range(DEEPEST):
            sources = self._graph.sources[node_id]
            source = next((sources[name] for name in _LATENTS if name in sources), None)
            if source is None or not depth:
                return None
            node_id = source.node_id
            if "steps_to_run" in self._graph.prompt[node_id]["inputs"]:
                return self._range(node_id, depth - 1)
        return None

    def _steps_of_sigmas(self, source: LinkedOutput | None, depth: int) -> float | None:
        """Return the steps of the sigmas at a source, or None. Follows at most `depth` links."""
        if source is None or not depth:
            return None
        prompt, node = self._graph.prompt, self._graph.prompt[source.node_id]
        steps = self._scheduler_steps(source.node_id, depth)
        split_at = number(prompt, node, "step")
        if steps is not None and node["class_type"] == "SplitSigmasDenoise":
            split_at = steps - round(steps * min(number(prompt, node, "denoise") or 0.0, 1.0))
        if steps is None or split_at is None:
            return steps
        # SplitSigmas outputs the steps before the split in slot 0, and the others in slot 1.
        return min(steps, split_at) if source.slot == 0 else max(steps - split_at, 0.0)

    def _scheduler_steps(self, node_id: str, depth: int) -> float | None:
        """Return the steps of a scheduler, which is a node that outputs sigmas, or None if they are not known.

        A node that changes sigmas has the steps of its longest input. One that appends sigmas has the sum.
        """
        if node_id not in self._steps_by_scheduler:
            self._steps_by_scheduler[node_id] = None  # the result inside a cycle
            self._steps_by_scheduler[node_id] = self._own_scheduler_steps(node_id, depth)
        return self._steps_by_scheduler[node_id]

    def _own_scheduler_steps(self, node_id: str, depth: int) -> float | None:
        """Return the steps of a scheduler that was not computed yet, or None if they are not known."""
        prompt, node = self._graph.prompt, self._graph.prompt[node_id]
        class_type, sigmas = node["class_type"], node["inputs"].get("sigmas")
        steps = number(prompt, node, *_STEPS)
        sources = self._graph.sources[node_id].items()
        counts = [self._steps_of_sigmas(source, depth - 1) for name, source in sources if "sigmas" in name]
        linked = [count for count in counts if count is not None]
        if isinstance(sigmas, str):  # sigmas entered as text, of which n + 1 make n steps
            return max(len(re.findall(r"[\d.]+", sigmas)) - 1.0, 0.0)
        if linked and class_type == "ExtendIntermediateSigmas":  # inserts this number of steps into each step
            return max(linked) * max(steps or 1.0, 1.0)
        if linked and ("Concat" in class_type or "Append" in class_type):
            return sum(linked)
        if steps is None:
            return max(linked, default=None)
        denoise = number(prompt, node, "denoise")
        if denoise is None or class_type.startswith("Split"):
            return steps
        return round(steps * min(denoise, 1.0)) if class_type in _PART_OF_STEPS else steps * (denoise > 0)
