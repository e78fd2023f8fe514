"""The progress and the work of a handler's call, which are those of its prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from worker.events import Handlers, JobAccepted, JobFinished, NodeStarted, Notify, PreviewReady, StepDone
from worker.job import Job, JobRef, JobState
from worker.jobs.job_index import JobIndex
from worker.load.call_units import CallUnits


@dataclass(frozen=True, slots=True)
class CallProgress:
    """An observer of the prompts that calls send.

    It reports their nodes and steps as events of the call. The workload of a call is what its prompts will probably
    still need. It becomes less with each prompt, which has a workload of its own, so that nothing is counted twice.
    """

    jobs: JobIndex
    notify: Notify
    units: CallUnits

    @property
    def handlers(self) -> Handlers:
        """Handlers of the events of prompts, and of the end of a call."""
        forwarded: dict[type[Any], Callable[[Any], None]] = dict.fromkeys(
            (NodeStarted, StepDone, PreviewReady), self._forward
        )
        return forwarded | {JobAccepted: self._accepted, JobFinished: self._finished}

    def _forward(self, event: NodeStarted | StepDone | PreviewReady) -> None:
        """Report an event of a prompt as one of its call."""
        call, prompt = self._call_of(event.job), self.jobs.get(event.job)
        if call is not None and prompt is not None and not call.state.ended:
            call.progress = prompt.progress
            self.notify(replace(event, job=call.ref))

    def _accepted(self, event: JobAccepted) -> None:
        """Take the work of a prompt from what its call is expected to need."""
        call = self._call_of(event.job)
        if call is not None:
            call.workload = max(0.0, call.workload - event.workload)

    def _finished(self, event: JobFinished) -> None:
        """Learn from the prompts of a call that has succeeded."""
        call = self.jobs.get(event.job)
        if call is None or call.request.handler is None or event.state is not JobState.COMPLETED:
            return
        call.workload = sum(prompt.workload for prompt in self.jobs.children_of(call))
        self.units.learn(call.request.handler, call.request.params, call.workload)

    def _call_of(self, ref: JobRef) -> Job | None:
        """Return the call that has sent a prompt, or None for a job that is no prompt of a call."""
        job = self.jobs.get(ref)
        return self.jobs.parent_of(job) if job is not None else None
