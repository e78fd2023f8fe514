"""A job's way: prepare, generate, deliver. This is the story; everything else is detail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from worker.engine.pool import EnginePool
from worker.engine.protocol.api import SubmitOptions
from worker.engine.protocol.messages import (
    Executing,
    ExecutionCached,
    ExecutionStart,
    Preview,
    Progress,
    RunMessage,
)
from worker.engine.recovery import Recovery
from worker.errors import (
    ClientError,
    DeliveryFailed,
    Draining,
    InternalError,
    JobCancelled,
    JobError,
    JobTimeout,
    NodeFailed,
    OutputMissing,
    OutputProblem,
    WorkerError,
    shortage_error,
)
from worker.events import (
    DeliveryEnded,
    JobFinished,
    JobSubmitted,
    NodesCached,
    NodeStarted,
    Observers,
    OutputReady,
    PreviewReady,
    RunEnded,
    StateChanged,
    StepDone,
)
from worker.inputs import Inputs
from worker.job import Job, JobProgress, JobState, Output
from worker.jobs.journal import Journal
from worker.outputs.delivery import Delivery
from worker.outputs.files import Outputs
from worker.outputs.output_collector import CollectedOutputs, OutputCollector, PartialRun, without_previews
from worker.outputs.problems import missing_files, no_outputs, node_problem
from worker.outputs.run_files import SENT
from worker.settings import PreviewMethod
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor.editor_file import to_editor_file
from worker.workflow.prompt import Prompt, title
from worker.workflow.rerun import rerun_nodes

log = logging.getLogger(__name__)

PREVIEW_METHOD = "preview_method"
"""What ComfyUI calls the way to make previews of one prompt; it goes before the option of its command line."""
READS_WORKFLOW = "EXTRA_PNGINFO"
"""Type of the hidden input in which a node gets the editor's file."""


ExplainFailure = Callable[[NodeFailed, Prompt, Catalog | None], Awaitable[WorkerError]]
"""Returns what the failure of a node really is: a damaged model file, or what the node raised."""


async def _as_raised(error: NodeFailed, _prompt: Prompt, _catalog: Catalog | None) -> WorkerError:
    return error


@dataclass(frozen=True, slots=True)
class Pipeline:
    """`engines` are those of the worker; `recovery` runs a prompt on one of them, to its end."""

    engines: EnginePool
    recovery: Recovery
    inputs: Inputs
    outputs: Outputs
    delivery: Delivery
    journal: Journal
    observers: Observers
    api_key: SecretStr = field(default=SecretStr(""), repr=False)
    """The operator's comfy.org key."""
    explain_failure: ExplainFailure = _as_raised
    previews: PreviewMethod = PreviewMethod.AUTO
    """For jobs whose events a client follows; the others have none."""

    async def run(self, job: Job, timeout_s: float) -> None:
        """Take a job to its end: it has an end state and, unless completed, an error. Raises only CancelledError."""
        await self._to_the_end(job, self._work(job), timeout_s)

    async def deliver_again(self, job: Job, timeout_s: float) -> None:
        """The last step alone, for a job whose result waits for it. Raises only CancelledError."""
        await self._to_the_end(job, self._deliver(job, job.outputs), timeout_s)

    async def _work(self, job: Job) -> None:
        prompt = await self._prepare(job)
        try:
            outputs = await self._generate(job, prompt)
        except NodeFailed as error:
            raise await self.explain_failure(error, *self._of(prompt)) from error
        await self._deliver(job, outputs)

    async def _to_the_end(self, job: Job, work: Coroutine[None, None, None], timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await work
        except TimeoutError:
            late = DeliveryFailed if job.state is JobState.DELIVERING else JobTimeout
            self._fail(job, late(f"the job did not end within {timeout_s:g} s"))
        except WorkerError as error:
            self._fail(job, error)
        except asyncio.CancelledError:
            self.end_cancelled(job)
            raise
        except Exception as error:
            lacking = shortage_error(error)
            if lacking is None:
                log.exception("job %s failed in a way nobody expected", job.id)
            self._fail(job, lacking or InternalError("an unexpected error in the worker"))
        else:
            self._enter(job, JobState.COMPLETED)
        finally:
            self._finish(job)

    def reject(self, job: Job, error: WorkerError | None = None) -> None:
        """End a job whose first step was never taken."""
        if error is None:
            self.end_cancelled(job)
        else:
            self._fail(job, error)
        self._finish(job)

    def _finish(self, job: Job) -> None:
        """Write the result down, then announce it: what was announced must not be lost with this process."""
        self.journal.record_ended(job)
        self.observers.notify(JobFinished.of(job))

    def end_cancelled(self, job: Job) -> None:
        """By its owner, or because this worker shuts down."""
        self._fail(
            job, Draining("this worker is shutting down") if job.handed_back else JobCancelled("it was cancelled")
        )

    async def _prepare(self, job: Job) -> Prompt:
        self._enter(job, JobState.PREPARING)
        prompt = await self.inputs.prepare(job, job.request.prompt)
        self._enter(job, JobState.WAITING)
        return prompt

    async def _generate(self, job: Job, prompt: Prompt) -> tuple[Output, ...]:
        """What came out of ComfyUI's cache without its files is written again, once, and nothing else runs for it.

        Raises OutputMissing where nodes named files and none of them can be had.
        """
        made = await self._collected(job, OutputCollector(self.outputs, job, self._announcer(job), *self._of(prompt)))
        outputs, problems = made.outputs, made.problems
        if made.nodes_to_rerun:
            outputs, problems = await self._write_again(job, prompt, made)
        if not outputs and (missing := missing_files(problems)):
            raise OutputMissing(f"the workflow ran, and nothing of it can be delivered: {missing[0].message}", problems)
        job.problems = problems if outputs or problems else (no_outputs(prompt),)
        return outputs

    async def _write_again(
        self, job: Job, prompt: Prompt, made: CollectedOutputs
    ) -> tuple[tuple[Output, ...], tuple[OutputProblem, ...]]:
        """Return the outputs and problems of a run and of those of its nodes that have to write once more."""
        second = rerun_nodes(prompt, made.nodes_to_rerun)
        part = PartialRun(second.nodes, first=made.numbered)
        job.prompt_id = None
        collector = OutputCollector(self.outputs, job, self._announcer(job), *self._of(second.prompt), part)
        try:
            more = await self._collected(job, collector, tuple(second.nodes))
        except (JobError, ClientError) as error:
            why = f"the file is gone, and it could not be made again: {error}"
            lost = [node_problem(prompt, node, OutputMissing.code, why) for node in made.nodes_to_rerun]
            return made.outputs, (*made.problems, *lost)
        return without_previews(made.outputs, more.outputs) + more.outputs, made.problems + more.problems

    def _of(self, prompt: Prompt) -> tuple[Prompt, Catalog | None]:
        return prompt, self.engines.known_catalog

    def _announcer(self, job: Job) -> Callable[[Output], None]:
        return lambda output: self.observers.notify(OutputReady(job.ref, output))

    async def _collected(
        self, job: Job, collector: OutputCollector, targets: tuple[str, ...] | None = None
    ) -> CollectedOutputs:
        """Run the collector's prompt; with `targets` only these nodes, at once, while ComfyUI still has the others."""
        prompt, beside = collector.prompt, self._beside(job, collector.prompt)

        def submitted(prompt_id: str | None) -> None:
            # Only now: a client may have begun to follow a job that waited for its engine.
            beside[PREVIEW_METHOD] = (self.previews if job.request.follows else PreviewMethod.NONE).value
            self._submitted(job, collector, prompt_id)
            if targets is None:  # else a worker that is restarted would take the part for the whole
                self.journal.record_submitted(job)

        try:
            try:
                reported = await self.recovery.run(
                    job,
                    prompt,
                    lambda message: self._hear(job, prompt, collector, message),
                    submitted,
                    SubmitOptions(beside, targets, first=targets is not None),
                )
            finally:
                self.observers.notify(RunEnded(job.ref))
            made = await collector.finish(reported)
        finally:
            await collector.abandon()
        job.files += made.files
        return made

    def _beside(self, job: Job, prompt: Prompt) -> dict[str, Any]:
        """Return what goes to ComfyUI beside the prompt.

        Where a node reads the editor's file and there is none, it gets what the editor would have made of the prompt.
        Savers do not count: they only write it into their files.
        """
        extra, catalog = job.request.extra, self.engines.known_catalog
        if catalog is not None:
            readers = catalog.classes_with_hidden_input(
                (node["class_type"] for node in prompt.values()), READS_WORKFLOW
            )
            if any(not node_class.output_node for node_class in readers) and not extra.has_workflow:
                extra = extra.with_workflow(to_editor_file(prompt, catalog))
        return extra.submission_data(self.api_key)

    async def _deliver(self, job: Job, outputs: tuple[Output, ...]) -> None:
        job.outputs, job.error = outputs, None
        self._enter(job, JobState.DELIVERING)
        await self.delivery.deliver(job)

    def _submitted(self, job: Job, collector: OutputCollector, prompt_id: str | None) -> None:
        if job.state is JobState.GENERATING and prompt_id is not None:
            collector.restart()
            self._enter(job, JobState.WAITING)
        job.prompt_id = prompt_id
        self.observers.notify(JobSubmitted(job.ref, job.engine or "", prompt_id))

    def _hear(self, job: Job, prompt: Prompt, collector: OutputCollector, message: RunMessage) -> None:
        collector.handle_message(message)
        match message:
            case ExecutionStart() if job.state is JobState.WAITING:
                self._enter(job, JobState.GENERATING)
                self.outputs.make_folder(job)
            case ExecutionCached(nodes=nodes) if nodes:
                self.observers.notify(NodesCached(job.ref, nodes))
            case Executing(node=str(node)):
                job.progress = JobProgress(node, _class(prompt, node), _title(prompt, node))
                self.observers.notify(NodeStarted(job.ref, node, job.progress.class_type, job.progress.title))
            case Progress(node=str(node), value=value, maximum=maximum):
                job.progress = JobProgress(node, _class(prompt, node), _title(prompt, node), value, maximum)
                self.observers.notify(StepDone(job.ref, node, value, maximum))
            case Preview() if _class(prompt, message.node) == SENT:
                collector.add_image(message)
            case Preview(node=node, mime=mime, data=data):
                self.observers.notify(PreviewReady(job.ref, node, mime, data))

    def _enter(self, job: Job, state: JobState) -> None:
        left, seconds = job.state, job.in_state_s
        job.advance(state)
        self.observers.notify(StateChanged(job.ref, state, left, seconds))
        if left is JobState.DELIVERING:
            code = job.error.code if job.error else None
            size = sum(output.size for output in job.outputs)
            self.observers.notify(DeliveryEnded(job.ref, self.delivery.method(job.request), size, seconds, code))

    def _fail(self, job: Job, error: WorkerError) -> None:
        job.error = error
        self._enter(job, _after(job.state, error))


def _after(state: JobState, error: WorkerError) -> JobState:
    """What fails while it is being delivered has its result, and keeps it."""
    if isinstance(error, JobCancelled):
        return JobState.CANCELLED
    return JobState.DELIVERY_PENDING if state is JobState.DELIVERING else JobState.FAILED


def _class(prompt: Prompt, node_id: str) -> str:
    """Empty for a node that another one expanded into: it stands in no workflow."""
    return prompt[node_id]["class_type"] if node_id in prompt else ""


def _title(prompt: Prompt, node_id: str) -> str:
    return title(prompt, node_id) if node_id in prompt else node_id
