"""Comparison of predicted nodes, steps and cached nodes with the events of a real ComfyUI."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from real.engine_log import RecordedRun
from worker.load.learning.node_results import NodeResults
from worker.load.node_work import JobWork, NodeKind
from worker.load.work import job_work
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt, links


class LoadFact(StrEnum):
    """What is compared, for each node."""

    RAN = "nodes that run"
    STEPS = "steps of samplers"
    CACHED = "cached nodes"


@dataclass(slots=True)
class FactCount:
    """How many nodes were compared, and how many were predicted correctly."""

    total: int = 0
    right: int = 0


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One prompt that ran. `reason` says why its steps cannot be known, and `uncached` are nodes never cached."""

    group: str
    name: str
    run: RecordedRun
    reason: str = ""
    uncached: Collection[str] = ()


@dataclass(slots=True)
class LoadComparison:
    """Counts of compared nodes by group and fact, and the differences.

    Add the runs of one engine in the order in which they ran, because each prediction of cached nodes follows from the
    runs before it.
    """

    counts: dict[str, dict[LoadFact, FactCount]] = field(default_factory=dict)
    prompts: dict[str, int] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    """Differences with a reason."""
    skipped: str = ""
    """Why the prompts for samplers were not sent. Empty when they were."""
    _results: NodeResults = field(default_factory=NodeResults)
    _earlier: set[bytes] = field(default_factory=set)
    """The ancestry of every node that ran."""

    def add(self, compared: ComparedRun, catalog: Catalog) -> None:
        """Compare one run with its prediction."""
        run, work = compared.run, job_work(compared.run.prompt, catalog)
        self.prompts[compared.group] = self.prompts.get(compared.group, 0) + 1
        self._compare_cached(compared, work)
        if run.end == "execution_success":
            self._compare_nodes(compared, work)
            self._compare_steps(compared, work)
        finished = run.executed if run.end == "execution_success" else run.executed[:-1]
        done = {*finished, *run.cached}
        self._earlier |= {ancestry for node_id, ancestry in work.ancestry.items() if node_id in done}
        self._results.job_ended(work, run.executed, done)

    def _compare_nodes(self, compared: ComparedRun, work: JobWork) -> None:
        """Compare the nodes that ran. Of nodes with the same ancestry, ComfyUI runs one."""
        run = compared.run
        executed = set(run.executed) & run.prompt.keys()
        done = {work.ancestry[node_id] for node_id in executed}
        predicted = {node.node_id for node in work.nodes} - set(run.cached)
        for node_id in sorted(predicted | executed):
            is_equal = node_id in executed or work.ancestry[node_id] in done
            right = node_id in predicted and is_equal
            text = "did not run" if node_id in predicted else "ran, which was not predicted"
            self._count(compared, LoadFact.RAN, "" if right else f"node {_name(run.prompt, node_id)} {text}")

    def _compare_steps(self, compared: ComparedRun, work: JobWork) -> None:
        """Compare the steps of the samplers that ran. A sampler without steps reports no progress."""
        run = compared.run
        for node in work.nodes:
            if node.kind is NodeKind.SAMPLER and node.node_id in run.executed:
                reported = run.steps.get(node.node_id, 0.0)
                text = f"node {_name(run.prompt, node.node_id)} reported {reported:g} steps, predicted {node.steps:g}"
                self._count(compared, LoadFact.STEPS, "" if reported == node.steps else text)

    def _compare_cached(self, compared: ComparedRun, work: JobWork) -> None:
        """Compare the cached nodes. With much free memory, ComfyUI also keeps results of jobs before the last one."""
        run = compared.run
        expected = set(self._results.expected(work))
        ignored = _behind(run.prompt, compared.uncached)
        for node in work.nodes:
            if node.node_id in ignored:
                continue
            cached, text = node.node_id in run.cached, ""
            if node.node_id in expected and not cached:
                text = f"node {_name(run.prompt, node.node_id)} was not cached, which was predicted"
            elif cached and work.ancestry[node.node_id] not in self._earlier:
                text = f"node {_name(run.prompt, node.node_id)} was cached, which was not predicted"
            self._count(compared, LoadFact.CACHED, text)

    def _count(self, compared: ComparedRun, fact: LoadFact, difference: str) -> None:
        """Count one compared node, and store the difference if there is one."""
        count = self.counts.setdefault(compared.group, {}).setdefault(fact, FactCount())
        count.total += 1
        count.right += not difference
        if difference:
            line = f"{compared.name} ({compared.group}): {difference}"
            if compared.reason:
                self.known.append(f"{line}: {compared.reason}")
            else:
                self.differing.append(line)


def _name(prompt: Prompt, node_id: str) -> str:
    """Return a node's id and class."""
    return f"{node_id} {prompt[node_id]['class_type']}"


def _behind(prompt: Prompt, node_ids: Collection[str]) -> set[str]:
    """Return nodes and all nodes that depend on them."""
    found, size = set(node_ids), -1
    while size != len(found):
        size = len(found)
        found |= set(_using(prompt, found))
    return found


def _using(prompt: Prompt, node_ids: Collection[str]) -> Iterator[str]:
    """Yield the nodes with a link to one of these nodes."""
    for node_id, node in prompt.items():
        if any(source in node_ids for _, source, _ in links(node)):
            yield node_id
