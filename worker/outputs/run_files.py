"""The files that one run wrote to its engine's folders, and the node that wrote each unreported file."""

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
from worker.outputs.known_folder import FoundFile
from worker.outputs.node_log import NodeLog
from worker.outputs.reports import NodeOutput, named_paths, names_a_result, plain_path
from worker.outputs.windows import Window
from worker.outputs.written_files import WrittenFiles
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt
from worker.workflow.rerun import node_digest

log = logging.getLogger(__name__)

SENDS_IMAGE = "SaveImageWebsocket"
"""The only class whose result arrives as a preview frame instead of a file."""


@dataclass(frozen=True, slots=True)
class UnknownPath:
    """A path that a node reported and that is not a file of this run. `missing` is True if no such file exists."""

    node_id: str
    text: str
    missing: bool


@dataclass(frozen=True, slots=True)
class WrittenByRun:
    """Files of a run, found after its end: unreported outputs, all files that it wrote, and reported unknown paths."""

    unreported: tuple[NodeOutput, ...] = ()
    files: tuple[EngineFile, ...] = ()
    unknown_paths: tuple[UnknownPath, ...] = ()


def is_output_class(name: str, catalog: Catalog | None) -> bool:
    """Return True if nodes of a class are output nodes, or if the catalog does not know the class."""
    return catalog is None or name not in catalog or catalog[name].output_node


class RunFiles:
    """Follows a run by its messages, and attributes files to its nodes by their times.

    `find_tracker` returns the tracker of the engine's files. It is called when the run starts, because the engine is
    known only then.
    """

    def __init__(self, find_tracker: Callable[[], WrittenFiles], prompt: Prompt, catalog: Catalog | None) -> None:
        self._find_tracker = find_tracker
        self._prompt = prompt
        self._catalog = catalog
        self._tracker: WrittenFiles | None = None
        self._window: Window | None = None
        self._ran_alone = False
        self._messages_lost = False
        self._node_digests: dict[str, bytes] = {}
        self._files_of_run: set[FileRef] = set()
        """Reported files that this run wrote. A node may also report a file that existed before."""
        self.log = NodeLog(self.is_output)

    def handle_message(self, message: RunMessage) -> None:
        """Record a message of ComfyUI about the run."""
        match message:
            case RunsIsolated():
                self._ran_alone = True
            case FramesLost():
                self._messages_lost = True
            case ExecutionStart(at=at) if self._window is None:
                self._tracker = self._find_tracker()
                self._window = self._tracker.begin_prompt(at, isolated=self._ran_alone)
            case ExecutionCached(nodes=nodes):
                self.log.cached_nodes.update(nodes)
            case Executing(node=str(node)):
                self.log.started.append((time.time() * 1000, node))
            case ExecutionSuccess(at=at) | ExecutionError(at=at) | ExecutionInterrupted(at=at):
                self._record_end(at)

    def record_report(self, report: NodeOutput) -> None:
        """Record a reported item. Call this before the file is linked or copied."""
        item = report.item
        is_known = (report.node_id, item) in self.log.reported_files
        self.log.record_report(report)
        if self._tracker is None or is_known or not isinstance(item, FileRef):
            return
        if report.node_id in self.log.cached_nodes:
            return
        if self._tracker.record_writer(self._node_digest(report.node_id), item):
            self._files_of_run.add(item)

    def may_be_replaced(self, node_id: str, file: FileRef) -> bool:
        """Return True if another job may have replaced a file that ComfyUI reports from its cache."""
        return self._tracker is not None and self._tracker.may_be_replaced(self._node_digest(node_id), file)

    def can_access(self, folder: str) -> bool:
        """Return True if this process can access one of the engine's folders."""
        return self._tracker is not None and folder in self._tracker.roots

    def _node_digest(self, node_id: str) -> bytes:
        """Return a hash of a node and of everything that it depends on."""
        if node_id not in self._node_digests:
            self._node_digests[node_id] = node_digest(self._prompt, node_id)
        return self._node_digests[node_id]

    def give_up(self) -> None:
        """End the run without collecting its files. They become unclaimed."""
        self._record_end(None)
        if self._window is not None and self._tracker is not None:
            self._window.collecting = False
            for ref in self._files_of_run:
                self._tracker.release(ref)
        self._window, self._ran_alone, self._messages_lost = None, False, False
        self._files_of_run.clear()
        self.log = NodeLog(self.is_output)

    def find_files(self) -> WrittenByRun:
        """End the run and find the files that it wrote. Call this once, after all reports were recorded."""
        if self._tracker is None or self._window is None:
            return WrittenByRun()
        if not self.log.started:  # the frames of the run were lost
            self.log.times_unknown = True
            self.log.started = [
                (self._window.start, node) for node in self._prompt if node not in self.log.cached_nodes
            ]
        self._record_end(None)
        for _, ref in self.log.reported_files:
            self._tracker.record_report(ref)
        new_files, unreported = self._find_unreported(self._tracker, self._window)
        self._window.collecting = False  # later files are too late
        self._record_reporting_classes(unreported)
        added = [file for file in new_files if not self._tracker.existed_before(file.path)]
        files = tuple(file.state for file in added) + self._reported_files()
        return WrittenByRun(tuple(unreported), files, tuple(self._unknown_paths(unreported)))

    def _find_unreported(self, tracker: WrittenFiles, window: Window) -> tuple[list[FoundFile], list[NodeOutput]]:
        """Return the files that the prompt wrote and no node reported, and the outputs among them.

        Listing a folder with thousands of files takes milliseconds. It is skipped if each output node reported its
        files and no class of the run has ever written other files. `sweep` removes files that are missed by this.
        """
        classes = {self.class_of(node) for node in self.log.executed}
        has_node_without_result = bool(self._nodes_without_result([]))
        all_reported = not has_node_without_result and not any(self._unknown_paths([]))
        if all_reported and classes <= tracker.complete_classes:
            return [], []
        new_files = tracker.written_by(window)
        unreported = self._outputs_among(new_files)
        if self._nodes_without_result(unreported) or any(self._unknown_paths(unreported)):
            overwritten = tracker.written_by(window, thorough=True)
            new_files, unreported = new_files + overwritten, unreported + self._outputs_among(overwritten)
        if not new_files and not has_node_without_result:
            tracker.complete_classes |= classes
        return new_files, unreported

    def lost_from_cache(self) -> set[str]:
        """Return output nodes from ComfyUI's cache whose class writes unreported files. The cache lacks these files."""
        return {
            node
            for node in self.log.cached_nodes - self.log.nodes_with_files
            if self.is_output(node) and self._writes_unreported(node)
        }

    @property
    def nodes_without_image(self) -> list[str]:
        """Nodes that ran and whose image did not arrive over the WebSocket."""
        executed = set(self._prompt) - self.log.cached_nodes if self._messages_lost else self.log.executed
        missing = executed - self.log.nodes_with_files
        return [node for node in self._prompt if node in missing and self.class_of(node) == SENDS_IMAGE]

    @property
    def nodes_without_report(self) -> list[str]:
        """Output nodes that reported nothing, if this process cannot access the engine's output folder."""
        if self._tracker is not None and "output" in self._tracker.roots:
            return []
        nodes = self.log.nodes_without_files
        return [node for node in nodes if not self.log.reports.get(node) and self.class_of(node) != SENDS_IMAGE]

    def is_output(self, node_id: str) -> bool:
        """Return True for an output node of the workflow. A node that ComfyUI added by expansion is not one."""
        name = self.class_of(node_id)
        return (
            is_output_class(name, self._catalog) if name else not self._prompt
        )  # without a prompt, any node may be one

    def class_of(self, node_id: str) -> str:
        """Return the class of a node, or "" for a node that ComfyUI added by expansion."""
        return str(self._prompt[node_id]["class_type"]) if node_id in self._prompt else ""

    def _writes_unreported(self, node_id: str) -> bool:
        """Return True if nodes of this class have written files without reporting them."""
        return self._tracker is not None and self.class_of(node_id) in self._tracker.unreporting_classes

    def _record_end(self, at_ms: float | None) -> None:
        """Record the end of the prompt. None means now."""
        if self._window is not None and self._window.end is None:
            self._window.end = time.time() * 1000 if at_ms is None else at_ms

    def _outputs_among(self, new_files: list[FoundFile]) -> list[NodeOutput]:
        """Return the unreported files that are outputs, each with its node."""
        outputs = []
        for file, file_owner in self.log.owners(new_files):
            if file_owner is None:
                continue
            if file_owner.certain or not self._may_be_of_earlier_prompt(file):
                outputs.append(NodeOutput(file_owner.node_id, file_owner.key, file.ref))
            else:
                log.warning(
                    "%s is not delivered: perhaps a node of an earlier job wrote it after the end of its own job",
                    file.path.name,
                )
        return outputs

    def _unknown_paths(self, found_files: list[NodeOutput]) -> Iterator[UnknownPath]:
        """Yield the paths in reports that are not files of this run, for nodes from which no file is known.

        `found_files` are the files that were found in the folders although no node reported them. A text that is an
        input of the workflow is not a path that a node made.
        """
        nodes_with_output = {file.node_id for file in found_files} | self.log.nodes_with_files
        inputs = {text for node in self._prompt.values() for text in node["inputs"].values() if isinstance(text, str)}
        for node, output in self.log.reports.items():
            if node in nodes_with_output | self.log.cached_nodes:
                continue
            for key, text in named_paths(output):
                if names_a_result(key, text) and text not in inputs:
                    is_missing = not self._exists(plain_path(text))
                    yield UnknownPath(node, text, is_missing)

    def _exists(self, path: str) -> bool:
        """Return True if a file exists in the folders. A path outside of them is not checked and counts as existing."""
        inside: list[Path] = []
        for root in self._tracker.roots.values() if self._tracker is not None else ():
            full_path = Path(os.path.normpath(root / path))
            if full_path.is_relative_to(root):
                inside.append(full_path)
        if PurePosixPath(path).is_absolute() and not inside:
            return True
        return any(os.path.isfile(full_path) for full_path in inside)  # noqa: PTH113 - it returns False for an invalid name

    def _may_be_of_earlier_prompt(self, file: FoundFile) -> bool:
        """Return True if an earlier prompt may have written a file after its end."""
        if self._tracker is None or self._window is None:
            return False
        return self._tracker.may_be_of_earlier_prompt(self._window, file.changed_ms)

    def _record_reporting_classes(self, unreported: list[NodeOutput]) -> None:
        """Record which classes report the files that they write, and whether a file is still expected."""
        if self._tracker is None or self._window is None:
            return
        self._tracker.unreporting_classes |= {self.class_of(report.node_id) for report in unreported}
        reporting = self.log.nodes_with_files | set(self.log.reports)
        self._tracker.reporting_classes |= {self.class_of(node) for node in reporting}
        without_result = self._nodes_without_result(unreported)
        self._window.file_expected = bool(without_result)
        self._tracker.reporting_classes -= {self.class_of(node) for node in without_result}

    def _nodes_without_result(self, unreported: list[NodeOutput]) -> set[str]:
        """Return output nodes that reported nothing, or that have no file although their class writes files.

        `unreported` are the outputs that were found without a report.
        """
        nodes = set(self.log.nodes_without_files) - {report.node_id for report in unreported}
        return {node for node in nodes if not self.log.reports.get(node) or self._writes_unreported(node)}

    def _reported_files(self) -> tuple[EngineFile, ...]:
        """Return the reported files that this run wrote, without files of earlier jobs or of the operator."""
        tracker = self._tracker
        if tracker is None:
            return ()
        refs = [ref for _, ref in self.log.reported_files if ref in self._files_of_run]
        paths = dict.fromkeys(tracker.record_report(ref) for ref in refs)
        files = [tracker.engine_file(path) for path in paths if path is not None]
        return tuple(file for file in files if file is not None)
