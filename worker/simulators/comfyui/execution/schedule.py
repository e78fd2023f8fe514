"""The execution order of the nodes of a prompt."""

from __future__ import annotations

from collections.abc import Container, Sequence

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt, links


class DependencyCycle(Exception):
    """Nodes wait for each other. Validation misses such a cycle when it passes through inputs that no class has."""

    def __init__(self, node_id: str) -> None:
        super().__init__("Dependency cycle detected")
        self.node_id = node_id


class Schedule:
    """The nodes that the requested outputs need and that are not cached.

    The outputs themselves are always scheduled, even cached ones, so that their cached result is reported again.
    """

    def __init__(self, prompt: Prompt, outputs: Sequence[str], cached: Container[str], catalog: Catalog) -> None:
        self._prompt = prompt
        self._cached = cached
        self._catalog = catalog
        self._missing_count: dict[str, int] = {}
        """Number of source nodes that have not run, by the id of each scheduled node, in the order of addition."""
        self._followers: dict[str, dict[str, None]] = {}
        """The ids of the nodes that wait for a node, by its id. The inner dictionary is an ordered set."""
        for node_id in outputs:
            self._add(node_id)

    def __bool__(self) -> bool:
        """Return whether nodes remain to run."""
        return bool(self._missing_count)

    def next(self) -> str:
        """Return a node whose sources have run: first an output node, then a node at most two links before one.

        Otherwise return the ready node that was added first. This is ComfyUI's order, so that a client gets its first
        image as early as from ComfyUI. Raises DependencyCycle when all remaining nodes wait for each other.
        """
        ready = [node_id for node_id, count in self._missing_count.items() if count == 0]
        for distance in range(3):
            for node_id in ready:
                if self._leads_to_output(node_id, distance):
                    return node_id
        if not ready:
            raise DependencyCycle(next(iter(self._missing_count)))
        return ready[0]

    def mark_done(self, node_id: str) -> None:
        """Remove a node that has run."""
        del self._missing_count[node_id]
        for follower in self._followers.pop(node_id):
            self._missing_count[follower] -= 1

    def require(self, node_id: str, source: str) -> None:
        """Add a source that a node turned out to need, and let the node wait for it."""
        self._add(source)
        self._follow(source, node_id)

    def _add(self, first: str) -> None:
        """Add a node and all the sources that it needs."""
        pending = [first]
        edges: list[tuple[str, str]] = []
        while pending:
            node_id = pending.pop()
            if node_id in self._missing_count:
                continue
            self._missing_count[node_id] = 0
            self._followers[node_id] = {}
            for name, source, _ in links(self._prompt[node_id]):
                if source not in self._cached and not self._is_lazy(node_id, name):
                    pending.append(source)
                    edges.append((source, node_id))
        # Both nodes of a link must be scheduled before one can wait for the other.
        for source, node_id in edges:
            self._follow(source, node_id)

    def _follow(self, source: str, node_id: str) -> None:
        """Let a node wait for a source."""
        if node_id not in self._followers[source]:
            self._followers[source][node_id] = None
            self._missing_count[node_id] += 1

    def _is_lazy(self, node_id: str, input_name: str) -> bool:
        """Return whether an input is lazy, so that its source runs only when the node requests it."""
        spec = self._catalog[self._prompt[node_id]["class_type"]].by_name.get(input_name)
        return spec is not None and spec.config[1].get("lazy") is True

    def _leads_to_output(self, node_id: str, distance: int) -> bool:
        """Return whether an output node follows after exactly `distance` links."""
        if distance == 0:
            return self._catalog[self._prompt[node_id]["class_type"]].output_node
        return any(self._leads_to_output(follower, distance - 1) for follower in self._followers[node_id])
