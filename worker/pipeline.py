"""The steps of a job: prepare its inputs, generate, collect and deliver its outputs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field

from pydantic import SecretStr

from worker.engine.pool import EnginePool
from worker.engine.protocol.api import SubmitOptions
from worker.engine.protocol.messages import Executed, ExecutionStart, Preview, RunMessage
from worker.engine.recovery import Recovery
from worker.engine.run_events import class_of, event_of, executed_event, progress_of
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
    UnknownHandler,
    WorkerError,
    shortage_error,
)
from worker.events import ImageSent, JobFinished, JobSubmitted, Observers, OutputReady, RunEnded
from worker.handlers.pool import HandlerPool
from worker.inputs import Inputs, PreparedInputs
from worker.job import Job, JobState, Output
from worker.jobs.journal import Journal
from worker.jobs.prompt_work import PromptWork
from worker.observers.state_changes import enter_state, state_after_failure
from worker.outputs.delivery import Delivery
from worker.outputs.files import Outputs
from worker.outputs.output_collector import CollectedOutputs, OutputCollector, PartialRun, without_previews
from worker.outputs.problems import missing_files, no_outputs, node_problem
from worker.outputs.run_files import SENDS_IMAGE
from worker.settings import PreviewMethod
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor.editor_file import with_needed_workflow
from worker.workflow.prompt import Prompt
from worker.workflow.rerun import rerun_nodes

log = logging.getLogger(__name__)

PREVIEW_METHOD = "preview_method"
"""ComfyUI's name for the preview method of one prompt. It overrides the command line."""
WHOLE_RUN = PartialRun()

ExplainFailure = Callable[[NodeFailed, Prompt, Catalog | None], Awaitable[WorkerError]]
"""Returns the error of a node's failure: a damaged model file, or what the node raised."""


async def _as_raised(error: NodeFailed, _prompt: Prompt, _catalog: Catalog | None) -> WorkerError:
    """Return the error unchanged: the default for `Pipeline.explain_failure`."""
    return error


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The parts that a job passes. `recovery` runs a prompt on one of the `engines`."""

    engines: EnginePool
    recovery: Recovery
    work: PromptWork
    inputs: Inputs
    outputs: Outputs
    delivery: Delivery
    journal: Journal
    observers: Observers
    api_key: SecretStr = field(default=SecretStr(""), repr=False)
    """The operator's comfy.org key."""
    handlers: HandlerPool | None = None
    explain_failure: ExplainFailure = _as_raised
    previews: PreviewMethod = PreviewMethod.AUTO
    """Preview method for jobs whose events a client follows. Other jobs have no previews."""

    async def run(self, job: Job, timeout_s: float) -> None:
        """Run a job to its end. A failure is stored in the job as its error. Raises only CancelledError.

        The limit of a call holds from the start of its handler, because it waits for as long as earlier calls run.
        """
        if job.request.handler is None:
            await self._end_with(job, self._run_steps(job), timeout_s)
        else:
            await self._end_with(job, self._call_handler(job, job.request.handler, timeout_s), None)

    async def deliver_again(self, job: Job, timeout_s: float) -> None:
        """Repeat the delivery of a job's outputs. Raises only CancelledError."""
        await self._end_with(job, self._deliver(job, job.outputs), timeout_s)

    async def _run_steps(self, job: Job) -> None:
        """Prepare, generate and deliver. Raises the error with which the job fails."""
        prompt = await self._prepare(job)
        try:
            outputs = await self._generate(job, prompt)
        except NodeFailed as error:
            raise await self.explain_failure(error, prompt, self.engines.known_catalog) from error
        await self._deliver(job, outputs)

    async def _end_with(self, job: Job, work: Coroutine[None, None, None], timeout_s: float | None) -> None:
        """Run `work` for at most `timeout_s` seconds, set the job's end state by its outcome, and announce the end."""
        try:
            async with asyncio.timeout(timeout_s):
                await work
        except TimeoutError:
            timeout_error = DeliveryFailed if job.state is JobState.DELIVERING else JobTimeout
            self._fail(job, timeout_error(f"the job did not end within {timeout_s or 0:g} s"))
        except WorkerError as error:
            self._fail(job, error)
        except asyncio.CancelledError:
            self.end_cancelled(job)
            raise
        except Exception as error:
            shortage = shortage_error(error)
            if shortage is None:
                log.exception("job %s failed with an unexpected error", job.id)
            self._fail(job, shortage or InternalError("an unexpected error in the worker"))
        else:
            self._enter(job, JobState.COMPLETED)
        finally:
            self._record_end(job)

    def reject(self, job: Job, error: WorkerError | None = None) -> None:
        """End a job that never started, with an error, or as cancelled when there is none."""
        if error is None:
            self.end_cancelled(job)
        else:
            self._fail(job, error)
        self._record_end(job)

    def _record_end(self, job: Job) -> None:
        """Store the result and then announce it, because an announced result must survive a restart."""
        self.journal.record_ended(job)
        self.observers.notify(JobFinished.of(job))

    def end_cancelled(self, job: Job) -> None:
        """End a job as cancelled, or with Draining if the worker is shutting down and the job runs again later."""
        if job.handed_back:
            self._fail(job, Draining("this worker is shutting down"))
        else:
            self._fail(job, JobCancelled("the job was cancelled"))

    async def _prepare(self, job: Job) -> Prompt:
        """Prepare the job's inputs and return the prompt that uses them."""
        self._enter(job, JobState.PREPARING)
        prepared = await self.inputs.prepare(job, job.request.prompt)
        if prepared.sizes or prepared.prompt != job.request.prompt:
            await self._refine(job, prepared)
        self._enter(job, JobState.WAITING)
        return prepared.prompt

    async def _call_handler(self, job: Job, name: str, limit_s: float) -> None:
        """Call a handler, and deliver its result. Raises the error with which the job fails."""
        if self.handlers is None:
            raise UnknownHandler(f"this worker does not serve the handler {name!r} any more")
        self._enter(job, JobState.PREPARING)
        self.outputs.make_folder(job)
        self._enter(job, JobState.WAITING)
        output = await self.handlers.call(
            job, self.outputs.folder(job), limit_s, lambda: self._enter(job, JobState.GENERATING)
        )
        await self._deliver(job, (output,))

    async def _refine(self, job: Job, prepared: PreparedInputs) -> None:
        """Correct the workload and the predictions of a job, because its input files are known now."""
        work = await self.work.of_prepared(job.request.prompt, prepared.prompt, prepared.sizes)
        job.workload = work.units
        self.engines.estimates.refine(job, work)

    async def _generate(self, job: Job, prompt: Prompt) -> tuple[Output, ...]:
        """Run the prompt, store problems of its outputs in the job, and return the outputs. Raises OutputMissing."""
        collected = await self._run_and_collect(job, self._collector(job, prompt))
        outputs, problems = collected.outputs, collected.problems
        if collected.nodes_to_rerun:
            outputs, problems = await self._rerun_nodes(job, prompt, collected)
        missing = missing_files(problems)
        if missing and not outputs:
            raise OutputMissing(f"the workflow ran, but no output can be delivered: {missing[0].message}", problems)
        job.problems = problems if outputs or problems else (no_outputs(prompt),)
        return outputs

    async def _rerun_nodes(
        self, job: Job, prompt: Prompt, first: CollectedOutputs
    ) -> tuple[tuple[Output, ...], tuple[OutputProblem, ...]]:
        """Run the nodes again whose results ComfyUI has cached but whose files are gone.

        Return the outputs and the problems of both runs. If the second run fails, each of these nodes is a problem.
        """
        rerun = rerun_nodes(prompt, first.nodes_to_rerun)
        collector = self._collector(job, rerun.prompt, PartialRun(rerun.nodes, first=first.numbered))
        job.prompt_id = None
        try:
            second = await self._run_and_collect(job, collector, tuple(rerun.nodes))
        except (JobError, ClientError) as error:
            message = f"the file is gone, and the node could not run again: {error}"
            lost_files = [node_problem(prompt, node, OutputMissing.code, message) for node in first.nodes_to_rerun]
            return first.outputs, (*first.problems, *lost_files)
        return without_previews(first.outputs, second.outputs) + second.outputs, first.problems + second.problems

    def _collector(self, job: Job, prompt: Prompt, part: PartialRun = WHOLE_RUN) -> OutputCollector:
        """Return a collector of the outputs of a run. It announces each output."""

        def announce(output: Output) -> None:
            self.observers.notify(OutputReady(job.ref, output))

        return OutputCollector(self.outputs, job, announce, prompt, self.engines.known_catalog, part)

    async def _run_and_collect(
        self, job: Job, collector: OutputCollector, targets: tuple[str, ...] | None = None
    ) -> CollectedOutputs:
        """Run the collector's prompt, and return its outputs.

        With `targets`, only these nodes run, at the front of ComfyUI's queue. The job gets the files of the run.
        """
        prompt = collector.prompt
        extra_data = with_needed_workflow(job.request.extra, prompt, self.engines.known_catalog).submission_data(
            self.api_key
        )

        def on_submission(prompt_id: str | None) -> None:
            # Set at the submission, because a client may follow a job only after it was accepted.
            extra_data[PREVIEW_METHOD] = (self.previews if job.request.follows else PreviewMethod.NONE).value
            self._record_submission(job, collector, prompt_id)
            if targets is None:  # otherwise a restarted worker would mistake these nodes for the whole run
                self.journal.record_submitted(job)

        try:
            succeeded = False
            try:
                reported = await self.recovery.run(
                    job,
                    prompt,
                    lambda message: self._handle_message(job, prompt, collector, message),
                    on_submission,
                    SubmitOptions(extra_data, targets, first=targets is not None),
                )
                succeeded = True
            finally:
                self.observers.notify(RunEnded(job.ref, succeeded))
            for lost in collector.unknown_reports(reported):
                self._announce_report(job, collector, lost)
            collected = await collector.finish(reported)
        finally:
            await collector.abandon()
        job.files += collected.files
        return collected

    async def _deliver(self, job: Job, outputs: tuple[Output, ...]) -> None:
        job.outputs, job.error = outputs, None
        self._enter(job, JobState.DELIVERING)
        await self.delivery.deliver(job)

    def _record_submission(self, job: Job, collector: OutputCollector, prompt_id: str | None) -> None:
        """Store the id of a submitted prompt in the job and announce it. None means that the prompt was removed."""
        if job.state is JobState.GENERATING and prompt_id is not None:  # the run starts again
            collector.restart()
            self._enter(job, JobState.WAITING)
        job.prompt_id = prompt_id
        self.observers.notify(JobSubmitted(job.ref, job.engine or "", prompt_id))

    def _handle_message(self, job: Job, prompt: Prompt, collector: OutputCollector, message: RunMessage) -> None:
        """Collect the outputs in a message of ComfyUI about the run, update the job's progress, and announce it."""
        collector.handle_message(message)
        if isinstance(message, ExecutionStart) and job.state is JobState.WAITING:
            self._enter(job, JobState.GENERATING)
            self.outputs.make_folder(job)
        if isinstance(message, Preview) and class_of(prompt, message.node) == SENDS_IMAGE:
            collector.add_image(message)
            self.observers.notify(ImageSent(job.ref, message.node, message.mime, message.data))
            return
        if isinstance(message, Executed):
            self._announce_report(job, collector, message)
        job.progress = progress_of(prompt, message) or job.progress
        event = event_of(job.ref, prompt, message)
        if event is not None:
            self.observers.notify(event)

    def _announce_report(self, job: Job, collector: OutputCollector, report: Executed) -> None:
        """Announce what a node has reported, with the id that the node has in the workflow."""
        node_id = collector.workflow_id(report.node)
        if node_id is not None:
            display_node = report.display_node if node_id == report.node else node_id
            self.observers.notify(executed_event(job.ref, node_id, report.output, display_node))

    def _enter(self, job: Job, state: JobState) -> None:
        enter_state(job, state, self.observers.notify, self.delivery)

    def _fail(self, job: Job, error: WorkerError) -> None:
        """Store the error in the job and enter the state that follows from it."""
        job.error = error
        self._enter(job, state_after_failure(job.state, error))
