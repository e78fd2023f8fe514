"""The prompts of all callers: an observer that follows their jobs, and sends frames to their clients."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import orjson

from worker.api.comfy.client_prompts import CallerPrompts, ClientPrompt, Scope, output_nodes_of, ref_of
from worker.api.comfy.encoding import json_bytes
from worker.api.comfy.frames import Frame, PromptFrames, TextFrame
from worker.api.comfy.history import entry_of
from worker.api.comfy.sockets import ClientSockets
from worker.dialects import COMFYUI
from worker.engine.protocol.messages import parse_json
from worker.events import (
    Handlers,
    ImageSent,
    JobAccepted,
    JobFinished,
    JobRemoved,
    NodeExecuted,
    NodesCached,
    NodeStarted,
    OutputReady,
    PreviewReady,
    RunEnded,
    StateChanged,
    StepDone,
)
from worker.job import Job
from worker.jobs.job_index import JobIndex
from worker.workflow.catalog.catalog import Catalog

MOST_HISTORY = 64 * 1024 * 1024
"""Bytes of all entries of the history in memory. Older entries are made from the results of their jobs."""

METHODS: dict[type[Any], Callable[[PromptFrames, Any, bool], list[Frame]]] = {
    StateChanged: lambda frames, event, _: frames.state_changed(event),
    NodesCached: lambda frames, event, _: frames.cached(event),
    NodeStarted: lambda frames, event, listening: frames.node_started(event, listening=listening),
    StepDone: lambda frames, event, listening: frames.step_done(event, listening=listening),
    PreviewReady: lambda frames, event, listening: frames.image_ready(event) if listening else [],
    ImageSent: lambda frames, event, listening: frames.image_ready(event) if listening else [],
    RunEnded: lambda frames, event, _: frames.run_ended(event),
}
"""Methods that return the frames for an event, and get whether a client listens."""


class Prompts:
    """The prompts that came by ComfyUI's API, by caller. A prompt exists as long as its job."""

    def __init__(self, jobs: JobIndex, catalog: Callable[[], Catalog | None]) -> None:
        """`catalog` returns the engine's last known catalog, by which output nodes are known."""
        self.sockets = ClientSockets()
        self._jobs = jobs
        self._catalog = catalog
        self._by_folder: dict[str, ClientPrompt] = {}
        self._by_scope: dict[Scope, CallerPrompts] = {}
        self._written: deque[ClientPrompt] = deque()
        """Prompts whose entry is in memory, the oldest first."""
        self._written_bytes = 0

    @property
    def handlers(self) -> Handlers:
        """Handlers of the events of a job that a client is shown."""
        return {
            JobAccepted: self._accepted,
            JobFinished: self._finished,
            JobRemoved: self._removed,
            OutputReady: self._stored,
            NodeExecuted: self._executed,
            **dict.fromkeys(METHODS, self._progressed),
        }

    def of(self, scope: Scope) -> CallerPrompts:
        """Return the prompts of a caller, in an object that is empty for an unknown one."""
        return self._by_scope.get(scope) or CallerPrompts()

    def restore(self) -> None:
        """Add the ended jobs of earlier processes of the worker."""
        jobs = [entry.job for entry in self._jobs if entry.job.state.ended]
        for job in sorted(jobs, key=lambda job: job.created_at):
            if job.request.dialect == COMFYUI.name and job.folder not in self._by_folder:
                prompt = self._add(job, None)
                for output in job.outputs:
                    self._note_stored(prompt, OutputReady(job.ref, output))

    def follow_all(self, scope: Scope, client_id: str) -> None:
        """Request previews for the prompts of a client that has connected now."""
        for prompt in self.of(scope).unfinished():
            if prompt.job.request.client_id == client_id:
                prompt.job.request = replace(prompt.job.request, follows=True)

    def status(self, scope: Scope) -> TextFrame:
        """Return the frame with the number of the caller's prompts that wait or run."""
        remaining = sum(1 for _ in self.of(scope).unfinished())
        return TextFrame("status", {"status": {"exec_info": {"queue_remaining": remaining}}}, everyone=True)

    def announce_queue(self, scope: Scope) -> None:
        """Send the state of the queue to all clients of a caller."""
        if self.sockets.any_of(scope):
            self.sockets.broadcast(scope, self.status(scope))

    def history(self, ended: Iterable[ClientPrompt]) -> bytes:
        """Return the entries of prompts that have ended by their ids, as JSON."""
        entries = [
            orjson.dumps(prompt.id) + b":" + (prompt.history or json_bytes(entry_of(prompt))) for prompt in ended
        ]
        return b"{" + b",".join(entries) + b"}"

    def _add(self, job: Job, frames: PromptFrames | None) -> ClientPrompt:
        """Add the prompt of a job."""
        caller = self._by_scope.setdefault(Scope.of(job), CallerPrompts())
        output_nodes = output_nodes_of(job.request.prompt, self._catalog())
        prompt = self._by_folder[job.folder] = ClientPrompt(job, caller.count, output_nodes, frames)
        caller.add(prompt)
        return prompt

    def _accepted(self, event: JobAccepted) -> None:
        """Add the prompt of a new job."""
        job = self._jobs.get(event.job)
        if job is not None and event.dialect == COMFYUI.name:
            self._add(job, PromptFrames(job.id, job.request.prompt))
            self.announce_queue(Scope.of(job))

    def _progressed(self, event: Any) -> None:  # noqa: ANN401 - one of several events
        """Send the frames for an event of a running job."""
        prompt = self._by_folder.get(event.job.folder)
        if prompt is None or prompt.frames is None:
            return
        scope, was_started = Scope.of(prompt.job), prompt.frames.started
        if not isinstance(event, StepDone | PreviewReady | ImageSent):
            self._send(prompt, prompt.frames.waiting_image())
        frames = METHODS[type(event)](prompt.frames, event, self.sockets.any_of(scope))
        if prompt.frames.started and not was_started:
            self.announce_queue(scope)
        self._send(prompt, frames)

    def _executed(self, event: NodeExecuted) -> None:
        """Send the results of a node, with the names of files that its client is shown."""
        prompt = self._by_folder.get(event.job.folder)
        if prompt is None or prompt.frames is None:
            return
        scope, cached = Scope.of(prompt.job), event.node_id not in prompt.frames.nodes
        output = self.of(scope).shown_report(prompt, parse_json(event.output), cached=cached)
        self._send(prompt, prompt.frames.waiting_image())
        self._send(prompt, prompt.frames.node_executed(event, output, listening=self.sockets.any_of(scope)))

    def _send(self, prompt: ClientPrompt, frames: list[Frame]) -> None:
        """Send frames to the client of a prompt."""
        scope = Scope.of(prompt.job)
        for frame in frames:
            self.sockets.send(scope, prompt.job.request.client_id, frame)

    def _stored(self, event: OutputReady) -> None:
        """Remember an output that can be viewed now."""
        prompt = self._by_folder.get(event.job.folder)
        if prompt is None:
            return
        self._note_stored(prompt, event)
        if prompt.frames is not None:
            listening = self.sockets.any_of(Scope.of(prompt.job))
            self._send(prompt, prompt.frames.output_stored(event.output.node_id, listening=listening))

    def _note_stored(self, prompt: ClientPrompt, event: OutputReady) -> None:
        """Remember an output. One that no report has named is shown by its own name."""
        ref = ref_of(event.output)
        if event.output.text is not None:
            return
        prompt.outputs[ref] = event.output
        if ref not in prompt.files.values():
            self.of(Scope.of(prompt.job)).shown_file(prompt, ref, cached=True)
        prompt.pulse()

    def _finished(self, event: JobFinished) -> None:
        """Write the entry of the history, and send the last frames. A job that is handed back has not ended."""
        prompt = self._by_folder.get(event.job.folder)
        if prompt is None or prompt.frames is None or event.handed_back:
            return
        job, scope, frames = prompt.job, Scope.of(prompt.job), prompt.frames
        self._send(prompt, frames.waiting_image())
        last = frames.finished(job.error, listening=self.sockets.any_of(scope)) if not prompt.hidden else []
        self._write(prompt)
        self.of(scope).end(prompt)
        prompt.pulse()
        self._send(prompt, last)
        self.announce_queue(scope)
        if not prompt.hidden:
            self._send(prompt, [frames.over])

    def _write(self, prompt: ClientPrompt) -> None:
        """Write the entry of the history, and drop the oldest entries if all together are too large."""
        prompt.history = json_bytes(entry_of(prompt))
        prompt.frames = None
        self._written.append(prompt)
        self._written_bytes += len(prompt.history)
        while self._written_bytes > MOST_HISTORY:
            oldest = self._written.popleft()
            self._written_bytes -= len(oldest.history or b"")
            oldest.history = None

    def _removed(self, event: JobRemoved) -> None:
        """Remove the prompt of a job that was removed."""
        prompt = self._by_folder.pop(event.job.folder, None)
        if prompt is None:
            return
        if prompt.history is not None:
            self._written.remove(prompt)
            self._written_bytes -= len(prompt.history)
        scope = Scope.of(prompt.job)
        self.of(scope).remove(prompt)
        if not self.of(scope).by_id:
            self._by_scope.pop(scope, None)
