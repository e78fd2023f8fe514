"""Knows which results of nodes ComfyUI still has, from the jobs that an engine ran, and learns how long it keeps them.

ComfyUI keeps the results of earlier prompts as long as its machine has enough memory. On most machines with less than
128 GB these are only the results of the last prompt, and on larger ones those of all prompts.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from worker.load.node_work import JobWork

MAX_RESULTS = 5000
"""Results that are remembered for an engine. The ones that were used longest ago are forgotten first."""
MAX_JOBS = 1000


@dataclass(frozen=True, slots=True)
class LineResults:
    """Results that jobs will have made before another one runs: for each, its age in jobs when that one runs."""

    ages: Mapping[bytes, int] = field(default_factory=dict)
    jobs: int = 0

    @classmethod
    def of(cls, works: Sequence[JobWork], jobs: int) -> Self:
        """Return the results of the last jobs of a line. `jobs` is the number of all jobs in it."""
        ages: dict[bytes, int] = {}
        for age, work in reversed([*enumerate(reversed(works))]):
            ages |= {work.ancestry[node.node_id]: age for node in work.nodes if node.node_id in work.ancestry}
        return cls(ages, jobs)


NO_LINE = LineResults()


class NodeResults:
    """The results of the nodes of one engine, by their ancestry. The age of a result counts jobs: 0 is the last one."""

    def __init__(self) -> None:
        self.kept = 1
        """Number of last jobs whose results are still there, as far as it was seen. 0 for an engine without a cache."""
        self._used: OrderedDict[bytes, int] = OrderedDict()
        """Number of the last job that used each result."""
        self._jobs = 0

    def expected(self, work: JobWork, line: LineResults = NO_LINE) -> Iterator[str]:
        """Yield the ids of the nodes of a job that will be cached if it runs after the jobs of a line."""
        for node_id, ancestry in work.ancestry.items():
            age = self._age(ancestry, line)
            if age is not None and age < self.kept:
                yield node_id

    def job_ended(
        self,
        work: JobWork,
        ran: Collection[str],
        completed: Container[str] | None = None,
        cached: Container[str] | None = None,
    ) -> None:
        """Record a job, by the ids of the nodes that ran, that have a result now, and that ComfyUI had cached.

        Without `completed`, all nodes that the job needs have a result. Nodes of the prompt that it does not need keep
        their results, too. Without `cached`, all nodes that did not run were cached.
        If no node is known to have run, the events of the job may have been lost: it does not show what was cached.
        """
        needed = {node.node_id: node for node in work.nodes}
        has_result = needed if completed is None else completed
        ancestries = {node_id: ancestry for node_id, ancestry in work.ancestry.items() if node_id in has_result}
        ages = {node_id: self._age(ancestry, NO_LINE) for node_id, ancestry in ancestries.items()}
        if ran:
            known = {node_id: age for node_id, age in ages.items() if age is not None}
            readers = {node_id for node_id, node in needed.items() if node.reads and node_id in ran}
            self._learn(
                cached=[known[node_id] for node_id in known.keys() - ran if cached is None or node_id in cached],
                lost=[age for node_id, age in known.items() if node_id in readers],
            )
        for ancestry in ancestries.values():
            self._used[ancestry] = self._jobs
            self._used.move_to_end(ancestry)
        self._jobs += 1
        while len(self._used) > MAX_RESULTS:
            self._used.popitem(last=False)

    def _learn(self, cached: Sequence[int], lost: Sequence[int]) -> None:
        """Learn how many jobs the engine remembers, from the ages of results that were still there, and of those lost.

        Only the results of loaders show what was lost, because some nodes always run.
        """
        oldest = max(cached, default=-1)
        if oldest >= self.kept:
            self.kept = min(2 * oldest + 1, MAX_JOBS)
        if lost:
            self.kept = min(self.kept, *lost)

    def _age(self, ancestry: bytes, line: LineResults) -> int | None:
        """Return the age of a result after the jobs of a line, or None for one that no job had."""
        used = self._used.get(ancestry)
        return line.ages.get(ancestry, None if used is None else self._jobs - 1 - used + line.jobs)
