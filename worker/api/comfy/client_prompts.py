"""The prompts of one caller, and the files that they and the caller's clients know. No I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from worker.api.comfy.frames import Json, PromptFrames
from worker.engine.protocol.api import FileRef
from worker.job import Job, JobState, Output
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt


class Scope(NamedTuple):
    """The owner of prompts, sockets and uploads. For a handler it is one parent job, for others the principal."""

    principal: str
    parent: str | None = None

    @classmethod
    def of(cls, job: Job) -> Scope:
        """Return the owner of a job."""
        return cls(job.principal, job.request.parent)


@dataclass(slots=True)
class ClientPrompt:
    """One prompt: its job, and what its client was shown."""

    job: Job
    number: int
    output_nodes: tuple[str, ...]
    frames: PromptFrames | None
    """None once the job has ended, and for a job of an earlier process."""
    history: bytes | None = None
    """The entry of the history as JSON, if it was written and is still in memory."""
    hidden: bool = False
    """Whether the client has deleted the prompt from its queue or its history."""
    files: dict[FileRef, FileRef] = field(default_factory=dict)
    """Names of files as the client was shown them, and as the nodes have reported them."""
    outputs: dict[FileRef, Output] = field(default_factory=dict)
    """Stored outputs by the names that the nodes have reported."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Pulsed when an output was stored, and when the job has ended."""

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def running(self) -> bool:
        """Whether the prompt runs, as ComfyUI's queue shows it."""
        return self.job.state in {JobState.GENERATING, JobState.DELIVERING}

    def pulse(self) -> None:
        """Wake those that wait for a change."""
        self.changed.set()
        self.changed.clear()

    async def stored_output(self, shown: FileRef) -> Output | None:
        """Return the output that the client knows by this name, or None. Wait while it is being stored."""
        reported = self.files.get(shown, shown)
        while reported not in self.outputs and not self.job.state.ended:
            await self.changed.wait()
        return self.outputs.get(reported)

    @property
    def queue_item(self) -> list[Any]:
        """The prompt as the queue and the history show it. It has no keys."""
        request = self.job.request
        extra: Json = {"create_time": int(self.job.created_at * 1000)}
        if request.extra.pnginfo is not None:
            extra["extra_pnginfo"] = request.extra.pnginfo
        if request.client_id:
            extra["client_id"] = request.client_id
        return [self.number, self.id, request.prompt, extra, list(self.output_nodes)]


@dataclass(slots=True)
class CallerPrompts:
    """All prompts of one caller by id, in the order of their acceptance."""

    by_id: dict[str, ClientPrompt] = field(default_factory=dict)
    active: dict[str, ClientPrompt] = field(default_factory=dict)
    """Those that wait or run."""
    by_file: dict[FileRef, ClientPrompt] = field(default_factory=dict)
    """The prompt of each file, by the name that clients were shown."""
    count: int = 0
    """Number of prompts so far."""

    def add(self, prompt: ClientPrompt) -> None:
        """Add a prompt."""
        self.by_id[prompt.id] = prompt
        self.count += 1
        if not prompt.job.state.ended:
            self.active[prompt.id] = prompt

    def remove(self, prompt: ClientPrompt) -> None:
        """Remove a prompt and its files, unless a newer prompt has its id or the name of a file."""
        self.end(prompt)
        if self.by_id.get(prompt.id) is prompt:
            del self.by_id[prompt.id]
        for shown in prompt.files:
            if self.by_file.get(shown) is prompt:
                del self.by_file[shown]

    def end(self, prompt: ClientPrompt) -> None:
        """Record that a prompt has ended."""
        if self.active.get(prompt.id) is prompt:
            del self.active[prompt.id]

    def unfinished(self) -> Iterator[ClientPrompt]:
        """Yield the prompts that wait or run."""
        return (prompt for prompt in self.active.values() if not prompt.job.state.ended and not prompt.hidden)

    def ended(self) -> Iterator[ClientPrompt]:
        """Yield the prompts that have ended and were not deleted from the history."""
        return (prompt for prompt in self.by_id.values() if prompt.job.state.ended and not prompt.hidden)

    def shown_file(self, prompt: ClientPrompt, reported: FileRef, *, cached: bool) -> FileRef:
        """Return the name by which clients know a file of a prompt, and remember it.

        It is ComfyUI's own name. If another prompt of the caller has this name, which happens with several engines and
        with files that are overwritten, the subfolder begins with the id of the prompt. Cached results have the name
        of the prompt that wrote the file.
        """
        shown, owner = reported, self.by_file.get(reported)
        is_same_file = owner is None or owner is prompt or (cached and owner.job.engine == prompt.job.engine)
        if not is_same_file:
            shown = FileRef(reported.filename, "/".join(filter(None, (prompt.id, reported.subfolder))), reported.folder)
        self.by_file[shown] = prompt
        prompt.files[shown] = reported
        return shown

    def shown_report(self, prompt: ClientPrompt, report: Json, *, cached: bool) -> Json:
        """Return what a node has reported with the names by which clients know its files."""
        return {key: self._shown_items(prompt, items, cached=cached) for key, items in report.items()}

    def _shown_items(self, prompt: ClientPrompt, items: object, *, cached: bool) -> object:
        """Return the items under one key of a report. Those that are no files do not change."""
        if not isinstance(items, list):
            return items
        shown: list[object] = []
        for item in items:
            reported = file_ref(item)
            if reported is None or not isinstance(item, dict):
                shown.append(item)
                continue
            shown_file = self.shown_file(prompt, reported, cached=cached)
            shown.append({**item, "subfolder": shown_file.subfolder} if shown_file != reported else item)
        return shown


def file_ref(item: object) -> FileRef | None:
    """Return the file that an item of a report or of a request describes, or None."""
    if not isinstance(item, dict) or not isinstance(item.get("filename"), str) or not item["filename"]:
        return None
    name = PurePosixPath(item["filename"].replace("\\", "/")).name
    return FileRef(name, str(item.get("subfolder") or ""), str(item.get("type") or "output"))


def ref_of(output: Output) -> FileRef:
    """Return ComfyUI's name of an output."""
    return FileRef(output.filename, output.subfolder, output.folder)


def output_nodes_of(prompt: Prompt, catalog: Catalog | None) -> tuple[str, ...]:
    """Return the ids of the nodes whose results are the outputs of a prompt. None are known without a catalog."""
    if catalog is None:
        return ()
    classes = {node_id: catalog.get(node["class_type"]) for node_id, node in prompt.items()}
    return tuple(node_id for node_id, known in classes.items() if known is not None and known.output_node)
