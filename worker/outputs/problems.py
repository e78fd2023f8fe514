"""What could not be delivered, told so that a client knows the node, the reason and the cure. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from worker.engine.protocol.api import FileRef
from worker.errors import OutputMissing, OutputNotAllowed, OutputProblem, OutputUnreadable, WorkerError
from worker.outputs.reports import NodeOutput
from worker.outputs.run_files import DanglingPath
from worker.workflow.prompt import Prompt, title

MODEL_KEPT = "model_not_delivered"
UNSEEN = "output_not_seen"
NOTHING = "no_outputs"
PROMISED = frozenset({OutputMissing.code, OutputNotAllowed.code, OutputUnreadable.code})


def node_problem(prompt: Prompt, node_id: str | None, code: str, message: str, **more: str | None) -> OutputProblem:
    """Return a problem with what the prompt says of the node."""
    known = node_id is not None and node_id in prompt
    return OutputProblem(
        message,
        node_id,
        title(prompt, node_id) if known and node_id else None,
        str(prompt[node_id]["class_type"]) if known and node_id else None,
        code=code,
        **more,
    )


def undelivered(prompt: Prompt, report: NodeOutput, error: WorkerError) -> OutputProblem:
    """A file that its node named and that can't be had."""
    name = report.item.filename if isinstance(report.item, FileRef) else None
    return node_problem(prompt, report.node_id, error.code, error.message, output=name)


def model_kept(prompt: Prompt, report: NodeOutput) -> OutputProblem:
    """A model that the request did not ask for."""
    name = report.item.filename if isinstance(report.item, FileRef) else None
    return node_problem(
        prompt,
        report.node_id,
        MODEL_KEPT,
        f"warning: the node saved the model {name!r}, and models are delivered on demand only",
        suggestion='send "deliver_models": true with the request',
        output=name,
    )


def dangling(prompt: Prompt, path: DanglingPath) -> OutputProblem:
    """A path that a node reported and that is no file of this job."""
    code = OutputMissing.code if path.missing else OutputNotAllowed.code
    reason = "which is not there" if path.missing else "which this job has not written"
    return node_problem(
        prompt, path.node_id, code, f"the node names the file {path.text!r}, {reason}", output=path.text
    )


def unseen(prompt: Prompt, node_id: str) -> OutputProblem:
    """A node that may have written files into folders that this worker can't look at."""
    return node_problem(
        prompt,
        node_id,
        UNSEEN,
        "warning: the node reported nothing, and the folders of a ComfyUI that is given by URL can't be looked at:"
        " if it saved a file, that is not delivered",
        suggestion="use a node that reports its files (SaveImage), or have the operator set WORKER_COMFYUI_OUTPUT",
    )


def picture_lost(prompt: Prompt, node_id: str) -> OutputProblem:
    """A picture that was to come over ComfyUI's WebSocket."""
    why = "the picture that the node sends over ComfyUI's WebSocket did not arrive, and ComfyUI keeps none"
    return node_problem(
        prompt, node_id, OutputMissing.code, why, suggestion="save it with SaveImage, or run the job again"
    )


def no_outputs(prompt: Prompt) -> OutputProblem:
    """A workflow that ran and left nothing."""
    return node_problem(
        prompt,
        None,
        NOTHING,
        "warning: the workflow ran, and none of its nodes reported a result or wrote a file",
        suggestion="end the workflow with a node that saves (SaveImage, SaveVideo, SaveAudio)",
    )


def missing_files(problems: Iterable[OutputProblem]) -> list[OutputProblem]:
    """Return the problems that are files which a node named: without them, and without anything else, a job failed."""
    return [problem for problem in problems if problem.code in PROMISED]
