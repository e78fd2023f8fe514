"""What one run wrote into its engine's folders, and which node wrote each file that none has reported."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from worker.engine.protocol.api import FileRef
from worker.engine.protocol.messages import (
    Executing,
    ExecutionCached,
    ExecutionError,
    ExecutionInterrupted,
    ExecutionStart,
    ExecutionSuccess,
    FramesLost,
    RunMessage,
    RunsIsolated,
)
from worker.job import EngineFile
from worker.outputs.node_log import NodeLog
from worker.outputs.reports import NodeOutput, bare, named_paths, names_a_result
from worker.outputs.windows import Window
from worker.outputs.written_files import FoundFile, WrittenFiles
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt
from worker.workflow.rerun import node_digest

log = logging.getLogger(__name__)

SENT = "SaveImageWebsocket"
"""The one class whose result comes as a preview frame instead of a file."""


@dataclass(frozen=True, slots=True)
class DanglingPath:
    """A path that a node reported and that is no file of this run. `missing`: nobody has such a file."""

    node_id: str
    text: str
    missing: bool


@dataclass(frozen=True, slots=True)
class RunLook:
    """What was found when a run had ended: results that no node reported, and all files that it wrote."""

    unreported: tuple[NodeOutput, ...] = ()
    files: tuple[EngineFile, ...] = ()
    dangling: tuple[DanglingPath, ...] = ()


def is_output_class(name: str, catalog: Catalog | None) -> bool:
    """Whether nodes of a class are ends of workflows, as far as the catalog knows the class."""
    return catalog is None or name not in catalog or catalog[name].output_node


class RunFiles:
    """Follows a run by its messages, so that the time of a file tells whose it is."""

    def __init__(self, files: Callable[[], WrittenFiles], prompt: Prompt, catalog: Catalog | None) -> None:
        self._engine_files = files
        self._prompt = prompt
        self._catalog = catalog
        self._files: WrittenFiles | None = None
        self._window: Window | None = None
        self._apart = False
        self._frames_lost = False
        self._signatures: dict[str, bytes] = {}
        self._own: set[FileRef] = set()
        """Reported files that this run wrote; a node may also report one that was there."""
        self.log = NodeLog(self.is_output)

    def hear(self, message: RunMessage) -> None:
        match message:
            case RunsIsolated():
                self._apart = True
            case FramesLost():
                self._frames_lost = True
            case ExecutionStart(at=at) if self._window is None:
                self._files = self._engine_files()  # the engine is known by now
                self._window = self._files.begin(at, apart=self._apart)
            case ExecutionCached(nodes=nodes):
                self.log.cached.update(nodes)
            case Executing(node=str(node)):
                self.log.started.append((time.time() * 1000, node))
            case ExecutionSuccess(at=at) | ExecutionError(at=at) | ExecutionInterrupted(at=at):
                self._end(at)

    def heard(self, report: NodeOutput) -> None:
        """Take note of what a node reports, before anything is done with its file."""
        item = report.item
        new = isinstance(item, FileRef) and (report.node_id, item) not in self.log.refs
        self.log.heard(report)
        if self._files is None or not new or not isinstance(item, FileRef) or report.node_id in self.log.cached:
            return
        if self._files.made(self._signature(report.node_id), item):
            self._own.add(item)

    def replaced(self, node_id: str, file: FileRef) -> bool:
        """Whether a file that comes from ComfyUI's cache is not, or may not be, the one that its node wrote."""
        return self._files is not None and self._files.replaced(self._signature(node_id), file)

    def looks_at(self, folder: str) -> bool:
        """Whether this process can look at one of the engine's folders."""
        return self._files is not None and folder in self._files.roots

    def _signature(self, node_id: str) -> bytes:
        if node_id not in self._signatures:
            self._signatures[node_id] = node_digest(self._prompt, node_id)
        return self._signatures[node_id]

    def give_up(self) -> None:
        """Nobody will collect what this run wrote."""
        self._end(None)
        if self._window is not None and self._files is not None:
            self._window.kept = False
            for ref in self._own:
                self._files.release(ref)
        self._window, self._apart, self._frames_lost = None, False, False
        self._own.clear()
        self.log = NodeLog(self.is_output)

    def look(self) -> RunLook:
        """Look for what the run wrote. Call it once, when all reports are in."""
        if self._files is None or self._window is None:
            return RunLook()
        if not self.log.started:  # its frames were lost
            self.log.unheard = True
            self.log.started = [(self._window.start, node) for node in self._prompt if node not in self.log.cached]
        self._end(None)
        for _, ref in self.log.refs:
            self._files.report(ref)
        found, unreported = self._found(self._files, self._window)
        self._window.kept = False  # what comes now comes too late
        self._learn(unreported)
        added = [one for one in found if not self._files.was_there(one.path)]
        files = tuple(one.file for one in added) + self._reported_files()
        return RunLook(tuple(unreported), files, tuple(self._dangling(unreported)))

    def _found(self, files: WrittenFiles, window: Window) -> tuple[list[FoundFile], list[NodeOutput]]:
        """The files that no node reported, and those of them that are results.

        A folder of thousands takes milliseconds to list, so nobody looks where all is known: each output node reported
        its files, and no class of the run has ever left others. The sweep removes files that are there all the same.
        """
        ran = {self.class_of(node) for node in self.log.ran}
        if not self._missing([]) and ran <= files.quiet and not any(self._dangling([])):
            return [], []
        found = files.written_by(window)
        unreported = self._claimed(found)
        if self._missing(unreported) or any(self._dangling(unreported)):
            more = files.written_by(window, thorough=True)
            found, unreported = found + more, unreported + self._claimed(more)
        if not found and not self._missing([]):
            files.quiet |= ran
        return found, unreported

    def lost_from_cache(self) -> set[str]:
        """Nodes that wrote without a report, here and in an earlier run: the cache has nothing of theirs."""
        return {node for node in self.log.cached - self.log.with_files if self.is_output(node) and self._writes(node)}

    @property
    def unsent(self) -> list[str]:
        """Nodes whose picture comes over the WebSocket and did not, as far as it is known that they ran."""
        ran = set(self._prompt) - self.log.cached if self._frames_lost else self.log.ran
        return [node for node in self._prompt if node in ran - self.log.with_files and self.class_of(node) == SENT]

    @property
    def unseen(self) -> list[str]:
        """Output nodes that reported nothing at all, where the engine's folders can't be looked at."""
        if self._files is not None and "output" in self._files.roots:
            return []
        return [node for node in self.log.owing if not self.log.reported.get(node) and self.class_of(node) != SENT]

    def is_output(self, node_id: str) -> bool:
        """Whether the node is an end of the workflow. One that another node expanded into is none."""
        name = self.class_of(node_id)
        return is_output_class(name, self._catalog) if name else not self._prompt

    def class_of(self, node_id: str) -> str:
        """Return the class of a node; empty for one that another node expanded into."""
        return str(self._prompt[node_id]["class_type"]) if node_id in self._prompt else ""

    def _writes(self, node_id: str) -> bool:
        """Whether nodes of this class have written files without a report."""
        return self._files is not None and self.class_of(node_id) in self._files.silent

    def _end(self, at_ms: float | None) -> None:
        if self._window is not None and self._window.end is None:
            self._window.end = time.time() * 1000 if at_ms is None else at_ms

    def _claimed(self, found: list[FoundFile]) -> list[NodeOutput]:
        claimed = []
        for one, claim in self.log.claims(found):
            if claim is not None and (claim.sure or not self._overdue(one)):
                claimed.append(NodeOutput(claim.node_id, claim.key, one.ref))
            elif claim is not None:
                log.warning("%s is not delivered: it may be the late file of another job", one.path.name)
        return claimed

    def _dangling(self, unreported: list[NodeOutput]) -> Iterator[DanglingPath]:
        """Of nodes that left nothing else. What the workflow itself says is no promise of a node."""
        found = {report.node_id for report in unreported}
        said = {text for node in self._prompt.values() for text in node["inputs"].values() if isinstance(text, str)}
        for node, output in self.log.reported.items():
            if node in found | self.log.with_files | self.log.cached:
                continue
            for key, text in named_paths(output):
                if names_a_result(key, text) and text not in said:
                    yield DanglingPath(node, text, not self._exists(bare(text)))

    def _exists(self, path: str) -> bool:
        """Whether there is such a file in the folders; a path that leads out of them is never looked at."""
        roots = self._files.roots if self._files is not None else {}
        inside = [(root, Path(os.path.normpath(root / path))) for root in roots.values()]
        outside = PurePosixPath(path).is_absolute() and not any(there.is_relative_to(root) for root, there in inside)
        # os.path's own, which takes a name that no file can have for one that is not there
        return outside or any(there.is_relative_to(root) and os.path.isfile(there) for root, there in inside)  # noqa: PTH113

    def _overdue(self, found: FoundFile) -> bool:
        if self._files is None or self._window is None:
            return False
        return self._files.overdue(self._window, found.changed_ms)

    def _learn(self, unreported: list[NodeOutput]) -> None:
        """Remember which classes report what they write."""
        if self._files is None or self._window is None:
            return
        silent = {report.node_id for report in unreported}
        self._files.silent |= {self.class_of(node) for node in silent}
        self._files.talking |= {self.class_of(node) for node in self.log.with_files | set(self.log.reported)}
        missing = self._missing(unreported)
        self._window.owing = bool(missing)
        self._files.talking -= {self.class_of(node) for node in missing}

    def _missing(self, unreported: list[NodeOutput]) -> set[str]:
        """Output nodes that left nothing: no word at all, or no file although their class writes some."""
        left = set(self.log.owing) - {report.node_id for report in unreported}
        return {node for node in left if not self.log.reported.get(node) or self._writes(node)}

    def _reported_files(self) -> tuple[EngineFile, ...]:
        """Those that the run wrote: others are an earlier job's, or the operator's."""
        files = self._files
        if files is None:
            return ()
        paths = [path for _, ref in self.log.refs if ref in self._own and (path := files.report(ref))]
        return tuple(file for path in dict.fromkeys(paths) if (file := files.known(path)) is not None)
