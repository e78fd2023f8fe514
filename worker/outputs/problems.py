"""Problems of outputs that could not be delivered, with node, reason and suggestion. No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from worker.engine.protocol.api import FileRef
from worker.errors import OutputMissing, OutputNotAllowed, OutputProblem, OutputUnreadable, WorkerError
from worker.outputs.reports import NodeOutput
from worker.outputs.run_files import UnknownPath
from worker.workflow.prompt import Prompt, title

MODEL_KEPT = "model_not_delivered"
UNSEEN = "output_not_seen"
NOTHING = "no_outputs"
FILE_CODES = frozenset({OutputMissing.code, OutputNotAllowed.code, OutputUnreadable.code})


def node_problem(prompt: Prompt, node_id: str | None, code: str, message: str, **more: str | None) -> OutputProblem:
    """Return a problem with the title and the class of the node, if the node is in the prompt.

    `more` are further fields of the problem.
    """
    if node_id is None or node_id not in prompt:
        return OutputProblem(message, node_id, None, None, code=code, **more)
    class_type = str(prompt[node_id]["class_type"])
    return OutputProblem(message, node_id, title(prompt, node_id), class_type, code=code, **more)


def undelivered(prompt: Prompt, report: NodeOutput, error: WorkerError) -> OutputProblem:
    """Return the problem of a reported file that could not be stored."""
    name = report.item.filename if isinstance(report.item, FileRef) else None
    return node_problem(prompt, report.node_id, error.code, error.message, output=name)


def model_kept(prompt: Prompt, report: NodeOutput) -> OutputProblem:
    """Return the warning for a saved model that the request did not ask to deliver."""
    name = report.item.filename if isinstance(report.item, FileRef) else None
    return node_problem(
        prompt,
        report.node_id,
        MODEL_KEPT,
        f"warning: the node saved the model {name!r}, which is not delivered unless the request asks for models",
        suggestion='send "deliver_models": true with the request',
        output=name,
    )


def unknown_path(prompt: Prompt, path: UnknownPath) -> OutputProblem:
    """Return the problem of a path that a node reported and that is not a file of this job."""
    code = OutputMissing.code if path.missing else OutputNotAllowed.code
    reason = "which does not exist" if path.missing else "which this job has not written"
    return node_problem(
        prompt, path.node_id, code, f"the node names the file {path.text!r}, {reason}", output=path.text
    )


def unreported_files(prompt: Prompt, node_id: str) -> OutputProblem:
    """Return the warning for a node that may have written files to folders that this worker cannot access."""
    return node_problem(
        prompt,
        node_id,
        UNSEEN,
        "warning: the node reported nothing. If it saved a file, the file is not delivered, because the worker cannot"
        " access the folders of a ComfyUI that is given by URL",
        suggestion="use a node that reports its files (SaveImage), or have the operator set WORKER_COMFYUI_OUTPUT",
    )


def image_lost(prompt: Prompt, node_id: str) -> OutputProblem:
    """Return the problem of an image that should have arrived over ComfyUI's WebSocket."""
    message = "the image that the node sends over ComfyUI's WebSocket did not arrive, and ComfyUI does not store it"
    return node_problem(
        prompt, node_id, OutputMissing.code, message, suggestion="save it with SaveImage, or run the job again"
    )


def no_outputs(prompt: Prompt) -> OutputProblem:
    """Return the warning for a workflow that ran without any output."""
    return node_problem(
        prompt,
        None,
        NOTHING,
        "warning: the workflow ran, and none of its nodes reported a result or wrote a file",
        suggestion="end the workflow with a node that saves (SaveImage, SaveVideo, SaveAudio)",
    )


def missing_files(problems: Iterable[OutputProblem]) -> list[OutputProblem]:
    """Return the problems of files that a node named. A job fails if it has such problems and no outputs."""
    return [problem for problem in problems if problem.code in FILE_CODES]
