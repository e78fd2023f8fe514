"""What the nodes of one run did, and which of them left a file that none has reported. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from worker.engine.protocol.api import FileRef
from worker.outputs.reports import NodeOutput, bare, named_paths
from worker.outputs.written_files import FoundFile

FRAME_DELAY_MS, LATE_FRAME_MS = 10.0, 250.0
"""How much later than its node started, in milliseconds, a frame is usually heard, and how much on a busy machine."""
UNREPORTED = "files"
"""The key of a file that no node has reported."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose a found file is. `sure` where the node named it, or wrote while no other node ran."""

    node_id: str
    key: str
    sure: bool


@dataclass(slots=True)
class NodeLog:
    """The nodes of a run as they were heard of. `is_output` tells whether a node is one of the workflow's ends."""

    is_output: Callable[[str], bool]
    started: list[tuple[float, str]] = field(default_factory=list)
    """When each node was heard to start, in milliseconds since the epoch, in order."""
    unheard: bool = False
    """Whether the frames of the run were lost, so that nothing is known of when each node ran."""
    cached: set[str] = field(default_factory=set)
    reported: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    refs: dict[tuple[str, FileRef], None] = field(default_factory=dict)
    """The files that were reported, each with its node."""
    with_files: set[str] = field(default_factory=set)
    """Nodes that have reported or sent files."""

    @property
    def ran(self) -> set[str]:
        return {node for _, node in self.started} - self.cached

    @property
    def owing(self) -> list[str]:
        """Output nodes that ran and reported no file, in the order in which they ran."""
        ran = dict.fromkeys(node for _, node in self.started)
        return [node for node in ran if node not in self.cached | self.with_files and self.is_output(node)]

    def claims(self, found: Iterable[FoundFile]) -> Iterator[tuple[FoundFile, Claim | None]]:
        """Yield each file with what `claim` says of it."""
        named = self._named()
        for one in found:
            yield one, self.claim(one, named)

    def claim(self, found: FoundFile, named: Mapping[str, tuple[str, str]] | None = None) -> Claim | None:
        """Return the node that wrote the file as a result of its own; `named` is what `_named` says.

        None for what a node left beside the files that it has reported, and for what lies in the temp folder without
        being the only thing that an output node left.
        """
        named = self._named() if named is None else named
        path, folder = found.file.path, found.file.folder
        for name in (path, f"{folder}/{path}", str(found.path)):
            if name in named:
                return Claim(*named[name], sure=True)
        return self._unheard_claim() if self.unheard else self._claim_by_time(found)

    def _unheard_claim(self) -> Claim | None:
        owing = self.owing
        return Claim(owing[-1], UNREPORTED, sure=False) if owing else None

    def _claim_by_time(self, found: FoundFile) -> Claim | None:
        running, owing = self._running(found.changed_ms), self.owing
        if writers := [node for node in running if node in owing]:
            return Claim(writers[-1], UNREPORTED, sure=True)
        if any(node in self.with_files for node in running):
            return None
        if before := [node for node in owing if self._start(node) <= found.changed_ms + LATE_FRAME_MS]:
            return Claim(before[-1], UNREPORTED, sure=False)
        others = [node for node in running if not self.is_output(node)]
        if others and found.file.folder == "output" and not self._companion(found):
            return Claim(others[-1], UNREPORTED, sure=False)
        return None

    def heard(self, report: NodeOutput) -> None:
        if isinstance(report.item, FileRef):
            self.with_files.add(report.node_id)
            self.refs[report.node_id, report.item] = None

    def _named(self) -> dict[str, tuple[str, str]]:
        """By the paths that nodes report in texts, the node that does so first and the key of its text."""
        named: dict[str, tuple[str, str]] = {}
        for node, output in self.reported.items():
            if node not in self.cached:
                for key, text in named_paths(output):
                    named.setdefault(bare(text), (node, key))
        return named

    def _companion(self, found: FoundFile) -> bool:
        """Whether a node reported a file of nearly that name, whose frame came too late to tell that it ran then."""
        stem = found.path.stem
        stems = [PurePosixPath(ref.filename).stem for _, ref in self.refs if ref.subfolder == found.ref.subfolder]
        return any(stem.startswith(other) or other.startswith(stem) for other in stems)

    def _start(self, node: str) -> float:
        return next(at for at, name in self.started if name == node)

    def _running(self, at_ms: float) -> list[str]:
        """The nodes that may have run at that time: one, or two where the next one's frame was heard right after it."""
        found = []
        for place, (at, node) in enumerate(self.started):
            after = self.started[place + 1][0] if place + 1 < len(self.started) else float("inf")
            if at <= at_ms + FRAME_DELAY_MS and after >= at_ms:
                found.append(node)
        return found
