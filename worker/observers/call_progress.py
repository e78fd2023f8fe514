"""The progress of a handler's call, which is that of its prompts."""

from __future__ import annotations

from dataclasses import dataclass, replace

from worker.events import Handlers, NodeStarted, Notify, PreviewReady, StepDone
from worker.job import Job, JobRef
from worker.jobs.job_index import JobIndex


@dataclass(frozen=True, slots=True)
class CallProgress:
    """An observer that reports the nodes and steps of a call's prompts as events of the call."""

    jobs: JobIndex
    notify: Notify

    @property
    def handlers(self) -> Handlers:
        """Handlers of the events that report progress."""
        return {NodeStarted: self._forward, StepDone: self._forward, PreviewReady: self._forward}

    def _forward(self, event: NodeStarted | StepDone | PreviewReady) -> None:
        """Report an event of a prompt as one of the call that has sent it."""
        call = self._call_of(event.job)
        if call is not None and not call.state.ended:
            prompt = self.jobs.get(event.job)
            call.progress = prompt.progress if prompt is not None else None
            self.notify(replace(event, job=call.ref))

    def _call_of(self, ref: JobRef) -> Job | None:
        """Return the call that has sent a prompt, or None for a job that is no prompt of a call."""
        job = self.jobs.get(ref)
        return self.jobs.parent_of(job) if job is not None else None
