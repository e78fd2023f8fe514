"""Attribution of unreported files to the nodes of one run, by reported paths and times. No I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from worker.engine.protocol.api import FileRef
from worker.outputs.known_folder import FoundFile
from worker.outputs.reports import NodeOutput, named_paths, plain_path

FRAME_DELAY_MS, LATE_FRAME_MS = 10.0, 250.0
"""Milliseconds between the start of a node and the arrival of the message about it: usually, and on a busy machine."""
UNREPORTED = "files"
"""The key of an output that no node has reported."""


@dataclass(frozen=True, slots=True)
class FileOwner:
    """The node that wrote a file.

    `certain` is True if the node named the file, or if no other node ran when the file was written.
    """

    node_id: str
    key: str
    certain: bool


@dataclass(slots=True)
class NodeLog:
    """Messages and reports of the nodes of one run. `is_output` returns True for an output node of the workflow."""

    is_output: Callable[[str], bool]
    started: list[tuple[float, str]] = field(default_factory=list)
    """When the start of each node was received, in milliseconds since the epoch, in order."""
    times_unknown: bool = False
    """True if the frames of the run were lost, so that `started` is not the real order."""
    cached_nodes: set[str] = field(default_factory=set)
    """Nodes that ComfyUI answered from its cache."""
    reports: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Report of each node, by node id."""
    reported_files: dict[tuple[str, FileRef], None] = field(default_factory=dict)
    """The reported files, each with its node."""
    nodes_with_files: set[str] = field(default_factory=set)
    """Nodes that have reported or sent files."""

    @property
    def executed(self) -> set[str]:
        """Nodes that ran in this run."""
        return {node for _, node in self.started} - self.cached_nodes

    @property
    def nodes_without_files(self) -> list[str]:
        """Output nodes that ran and reported no file, in the order in which they ran."""
        nodes = dict.fromkeys(node for _, node in self.started)
        excluded = self.cached_nodes | self.nodes_with_files
        return [node for node in nodes if node not in excluded and self.is_output(node)]

    def owners(self, files: Iterable[FoundFile]) -> Iterator[tuple[FoundFile, FileOwner | None]]:
        """Yield each file with its owner, or with None, as `owner` returns it."""
        by_path = self._nodes_by_path()
        for file in files:
            yield file, self.owner(file, by_path)

    def owner(self, file: FoundFile, by_path: Mapping[str, tuple[str, str]] | None = None) -> FileOwner | None:
        """Return the node that has a file as its output, or None if the file is not an output.

        A file is not an output if its node reported other files, or if it is in the temp folder and is not the only
        result of an output node. `by_path` is the result of `_nodes_by_path`, to compute it once for many files.
        """
        by_path = self._nodes_by_path() if by_path is None else by_path
        path, folder = file.state.path, file.state.folder
        for name in (path, f"{folder}/{path}", str(file.path)):
            if name in by_path:
                node_id, key = by_path[name]
                return FileOwner(node_id, key, certain=True)
        return self._last_node_without_files() if self.times_unknown else self._owner_by_time(file)

    def _last_node_without_files(self) -> FileOwner | None:
        """Return the last output node that reported no file as an uncertain owner, or None if there is none."""
        nodes = self.nodes_without_files
        return FileOwner(nodes[-1], UNREPORTED, certain=False) if nodes else None

    def _owner_by_time(self, file: FoundFile) -> FileOwner | None:
        """Return the owner of a file by its time.

        Candidates, best first: an output node without files that ran at that time; one that started before; another
        node that ran at that time.
        """
        running, nodes_without_files = self._running_at(file.changed_ms), self.nodes_without_files
        candidates = [node for node in running if node in nodes_without_files]
        if candidates:
            return FileOwner(candidates[-1], UNREPORTED, certain=True)
        if any(node in self.nodes_with_files for node in running):
            return None
        latest_start_ms = file.changed_ms + LATE_FRAME_MS
        candidates = [node for node in nodes_without_files if self._started_ms(node) <= latest_start_ms]
        if candidates:
            return FileOwner(candidates[-1], UNREPORTED, certain=False)
        candidates = [node for node in running if not self.is_output(node)]
        if candidates and file.state.folder == "output" and not self._is_companion(file):
            return FileOwner(candidates[-1], UNREPORTED, certain=False)
        return None

    def record_report(self, report: NodeOutput) -> None:
        """Record a file that a node has reported."""
        if isinstance(report.item, FileRef):
            self.nodes_with_files.add(report.node_id)
            self.reported_files[report.node_id, report.item] = None

    def _nodes_by_path(self) -> dict[str, tuple[str, str]]:
        """Return node id and key of the first node that reported each path. Nodes from ComfyUI's cache are left out."""
        by_path: dict[str, tuple[str, str]] = {}
        for node, output in self.reports.items():
            if node not in self.cached_nodes:
                for key, text in named_paths(output):
                    by_path.setdefault(plain_path(text), (node, key))
        return by_path

    def _is_companion(self, file: FoundFile) -> bool:
        """Return True if a node reported a file of nearly the same name.

        That node may have run when the file was written, although its frame arrived later.
        """
        stem = file.path.stem
        stems = [
            PurePosixPath(ref.filename).stem for _, ref in self.reported_files if ref.subfolder == file.ref.subfolder
        ]
        return any(stem.startswith(other) or other.startswith(stem) for other in stems)

    def _started_ms(self, node: str) -> float:
        """Return when the start of a node was received, in milliseconds since the epoch."""
        return next(at for at, name in self.started if name == node)

    def _running_at(self, at_ms: float) -> list[str]:
        """Return the nodes that may have run at a time, in order.

        It is one node, or two if the message about the start of the second arrived shortly after that time.
        """
        nodes = []
        for index, (started_ms, node) in enumerate(self.started):
            is_last = index + 1 == len(self.started)
            ended_ms = float("inf") if is_last else self.started[index + 1][0]
            if started_ms <= at_ms + FRAME_DELAY_MS and ended_ms >= at_ms:
                nodes.append(node)
        return nodes
