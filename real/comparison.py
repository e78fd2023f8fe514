"""Comparison of a response with the files that ComfyUI wrote, and with the outputs that the job expects."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from PIL import Image

from real.engine_log import EngineLog, WrittenFile
from real.jobs import ExpectedOutput, RealJob

Contents = Mapping[tuple[str, str], set[str]]
"""For each folder and path, the SHA-256 of every content that ComfyUI ever wrote there."""
MAX_RUNS = 2
"""A request may run twice: the second time only for the savers whose files are missing."""
DURATION_SLACK_S = 0.15


@dataclass(frozen=True, slots=True)
class DeliveredOutput:
    """One output of a response: its fields, and the bytes of its file, decoded or downloaded."""

    fields: Mapping[str, Any]
    content: bytes | None

    @property
    def node(self) -> str:
        return str(self.fields["node_id"])

    @property
    def kind(self) -> str:
        return str(self.fields["kind"])

    @property
    def path(self) -> str:
        """The path of the file in its folder."""
        subfolder = self.fields.get("subfolder")
        return f"{subfolder}/{self.fields['filename']}" if subfolder else str(self.fields["filename"])

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content or b"").hexdigest()


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """The response to one request."""

    status: int
    body: Mapping[str, Any]
    outputs: Sequence[DeliveredOutput]

    @property
    def problems(self) -> list[Any]:
        """The problems that the response names."""
        return list(self.body.get("problems") or ())

    @property
    def error(self) -> str:
        """Code, message and details of an error response, as one line."""
        error = self.body.get("error") or {}
        details = " ".join(str(detail.get("message")) for detail in error.get("details") or ())
        return f"{error.get('code')}: {error.get('message')} {details}".strip()


def differences(job: RealJob, answer: JobAnswer, log: EngineLog, contents: Contents) -> list[str]:
    """Return one line for each difference between a response and what is expected."""
    if job.fails:
        expected = answer.status == 422 and job.fails in answer.error
        return [] if expected else [f"response {answer.status} {answer.error}, expected the failure: {job.fails}"]
    if answer.status != 200:
        return [f"response {answer.status} {answer.error}"]
    return [
        *_kind_differences(job.expected, answer.outputs),
        *_fact_differences(job.expected, answer.outputs),
        *changed_bytes(answer, log, contents),
        *_missing_files(job, answer.outputs, log),
        *_problem_differences(job, answer),
    ]


def changed_bytes(answer: JobAnswer, log: EngineLog, contents: Contents) -> list[str]:
    """Return one line for each delivered file that is not, byte for byte, a file that the engine wrote."""
    return [line for output in answer.outputs for line in _byte_differences(output, log, contents)]


def repeats(job: RealJob, log: EngineLog, savers: Collection[str]) -> list[str]:
    """Return a line when one request ran nodes twice, other than savers, or ran more than twice.

    `savers` are the ids of the nodes that may run again.
    """
    if len(log.runs) > MAX_RUNS:
        return [f"the prompt ran {len(log.runs)} times"]
    repeated = [node for run in log.runs[1:] for node in run.executed if node not in savers]
    return [f"executed again: {', '.join(repeated)}"] if repeated else []


def _kind_differences(expected: Sequence[ExpectedOutput], outputs: Sequence[DeliveredOutput]) -> Iterator[str]:
    """Compare the number of outputs by node and kind."""
    expected_counts = Counter((output.node, output.kind) for output in expected)
    delivered_counts = Counter((output.node, output.kind) for output in outputs)
    missing = expected_counts - delivered_counts
    if missing:
        yield f"not delivered: {_counts_text(missing)}"
    surplus = delivered_counts - expected_counts
    if surplus:
        yield f"delivered but not expected: {_counts_text(surplus)}"


def _counts_text(counter: Counter[tuple[str, str]]) -> str:
    """Return counts by node and kind as text."""
    return ", ".join(f"{count} {kind} of node {node}" for (node, kind), count in sorted(counter.items()))


def _fact_differences(expected: Sequence[ExpectedOutput], outputs: Sequence[DeliveredOutput]) -> Iterator[str]:
    """Compare the facts of outputs. Outputs of one node and kind are compared in the order of the response."""
    positions: Counter[tuple[str, str]] = Counter()
    for expected_output in expected:
        key = (expected_output.node, expected_output.kind)
        candidates = [output for output in outputs if (output.node, output.kind) == key]
        position = positions[key]
        positions[key] += 1
        if position < len(candidates):
            yield from _field_differences(expected_output, candidates[position])


def _field_differences(expected: ExpectedOutput, output: DeliveredOutput) -> Iterator[str]:
    """Compare the fields of one output with the expected facts."""
    for name, expected_value in expected.facts.items():
        value = output.fields.get(name)
        is_close = name == "duration_s" and value is not None and abs(value - expected_value) <= DURATION_SLACK_S
        if value != expected_value and not is_close:
            yield f"node {output.node}: {name} is {value!r}, expected {expected_value!r}"


def _byte_differences(output: DeliveredOutput, log: EngineLog, contents: Contents) -> Iterator[str]:
    """Compare a file with the contents that ComfyUI wrote under its name.

    An image that ComfyUI sent over the WebSocket is compared by its pixels.
    """
    if output.content is None:
        return
    if output.fields.get("bytes") != len(output.content) or output.fields.get("sha256") != output.sha256:
        yield f"{output.path}: size or SHA-256 in the response differ from the file"
    written_digests = [digests for (_, path), digests in contents.items() if path == output.path]
    if any(output.sha256 in digests for digests in written_digests):
        return
    if not written_digests and _pixel_digest(output) in log.images:
        return
    if written_digests:
        yield f"{output.path}: the bytes differ from what ComfyUI wrote"
    else:
        yield f"{output.path}: ComfyUI wrote no such file"


def _pixel_digest(output: DeliveredOutput) -> str:
    """Return the SHA-256 of an image's pixels, or an empty string for other kinds."""
    if output.kind != "image":
        return ""
    with Image.open(io.BytesIO(output.content or b"")) as image:
        return hashlib.sha256(image.tobytes()).hexdigest()


def _missing_files(job: RealJob, outputs: Sequence[DeliveredOutput], log: EngineLog) -> Iterator[str]:
    """Yield one line for each saved file that was not delivered."""
    delivered = {output.path for output in outputs}
    required = {file.path for file in log.saved if _must_be_delivered(file, job)}
    for path in sorted(required - delivered):
        yield f"saved but not delivered: {path}"


def _must_be_delivered(file: WrittenFile, job: RealJob) -> bool:
    """Return whether the job must deliver a saved file."""
    if file.is_model and not job.deliver_models:
        return False
    return not any(fnmatchcase(file.path, pattern) for pattern in job.companions)


def _problem_differences(job: RealJob, answer: JobAnswer) -> Iterator[str]:
    """Compare the problems of the response with the expectation."""
    if job.problem and not answer.problems:
        yield "the response names no problem, but one was expected"
    if answer.problems and not job.problem:
        yield f"unexpected problems: {[problem.get('message') for problem in answer.problems]}"
